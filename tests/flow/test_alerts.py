"""Alerts: a failed order is sent to the webhook, once."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.support.processes import eventually
from tests.support.system import System, open_system
from tests.support.webhook import Webhook, open_webhook
from tools.devstack.ports import free_port

QUICK = {
    "PLACEMENT_BACKOFF_SECONDS": "0.1",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "0.2",
    "SWEEP_EVERY_SECONDS": "0.1",
    "SWEEP_OVERDUE_SECONDS": "0.1",
}


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with open_webhook() as webhook:
        yield webhook


@pytest.fixture
async def alone(database_url: str, redis_url: str, webhook: Webhook) -> AsyncIterator[System]:
    """Start a system with the webhook and two workers that a test may stop."""
    settings = {
        **QUICK,
        "ALERT_URLS": webhook.address,
        "ALERT_PENDING_SECONDS": "1",
        "ALERT_CHECK_EVERY_SECONDS": "0.2",
    }
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        yield system


async def test_an_order_that_failed_is_alerted_once_with_the_action(alone: System, webhook: Webhook) -> None:
    await alone.start("api", "worker", "worker-2")
    await alone.control("PUT", "faults", {"down": True})

    order_id = await alone.placed_id()

    await alone.becomes(order_id, "FAILED", within_seconds=30)
    await eventually(lambda: _about(webhook, "order FAILED"), within_seconds=10, what="people are told")
    for worker in ("worker", "worker-2"):
        await alone.stop(worker)
    (message,) = _about(webhook, "order FAILED")
    assert _as_in_the_log(order_id) in message["message"]
    assert "place a new order" in message["message"]


async def test_an_order_that_no_worker_submits_is_logged_by_one_of_them(alone: System, webhook: Webhook) -> None:
    alone.environment["EXCHANGE_URL"] = f"http://127.0.0.1:{free_port()}"
    await alone.start("api", "worker", "worker-2")

    order_id = await alone.placed_id()

    await eventually(lambda: _about(webhook, "order PENDING too long"), within_seconds=15, what="people are told")
    for worker in ("worker", "worker-2"):
        await alone.processes[worker].shows("order_pending_too_long", within_seconds=10)
        await alone.stop(worker)
    (message,) = _about(webhook, "order PENDING too long")
    assert _as_in_the_log(order_id) in message["message"]


async def test_a_key_that_the_exchange_refuses_is_logged_by_one_worker_and_the_order_waits(
    alone: System, webhook: Webhook
) -> None:
    alone.environment["EXCHANGE_KEY"] = "revoked"
    await alone.start("api", "worker", "worker-2")

    order_id = await alone.placed_id()

    await eventually(lambda: _about(webhook, "the exchange refuses our key"), within_seconds=15, what="people are told")
    for worker in ("worker", "worker-2"):
        await alone.stop(worker)
    assert len(_about(webhook, "the exchange refuses our key")) == 1
    assert not (await alone.order(order_id))["isFinal"]


def _about(webhook: Webhook, title: str) -> list[dict[str, str]]:
    return [message for message in webhook.messages if title in message["title"]]


def _as_in_the_log(order_id: str) -> str:
    """Convert the API's id `ord_…` to the id in the log and at the exchange."""
    return str(UUID(order_id.removeprefix("ord_")))
