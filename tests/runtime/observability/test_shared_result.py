"""The text of /metrics: it is rendered once in an interval for all requests, and other work continues meanwhile."""

import asyncio

from prometheus_client import generate_latest

from domain.ports.telemetry import Metric
from runtime.observability.logs import get_logger
from runtime.observability.metrics import Metrics, render
from runtime.observability.shared_result import SharedResult
from runtime.observability.telemetry import ProcessTelemetry

HELD_SECONDS = 1.0


async def test_every_caller_gets_the_same_bytes_until_they_are_a_second_old() -> None:
    telemetry, now = ProcessTelemetry(Metrics(), get_logger()), 0.0
    text = SharedResult(lambda: render(telemetry.metrics.registry), held_seconds=HELD_SECONDS, clock=lambda: now)

    first = await text.get()
    telemetry.count(Metric.ORDERS_STORED, 7)
    now = 0.9 * HELD_SECONDS
    assert await asyncio.gather(*(text.get() for _ in range(50))) == [first] * 50
    now = 1.1 * HELD_SECONDS
    assert b"fillwire_orders_stored_total 7.0" in await text.get()


async def test_the_text_is_rendered_once_for_concurrent_callers() -> None:
    renderings = 0
    metrics = Metrics()

    async def count_and_render() -> bytes:
        nonlocal renderings
        renderings += 1
        return await render(metrics.registry)

    text = SharedResult(count_and_render, held_seconds=HELD_SECONDS)

    assert len(set(await asyncio.gather(*(text.get() for _ in range(50))))) == 1
    assert renderings == 1


async def test_a_rendering_that_failed_is_tried_again_after_a_second() -> None:
    now, fails = 0.0, True

    async def find() -> str:
        if fails:
            raise RuntimeError
        return "found"

    shared = SharedResult(find, held_seconds=HELD_SECONDS, clock=lambda: now)
    failed = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)
    fails, now = False, 1.1 * HELD_SECONDS

    assert [type(error) for error in failed] == [RuntimeError, RuntimeError]
    assert await shared.get() == "found"


async def test_other_work_continues_while_the_text_is_rendered() -> None:
    metrics = Metrics()
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    text = await render(metrics.registry)
    working.cancel()

    assert rounds >= len(Metric)
    assert _names(text) == _names(generate_latest(metrics.registry))


def _names(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line.startswith(b"#")]
