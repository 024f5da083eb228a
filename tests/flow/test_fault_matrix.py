"""All outcomes of one submission, row by row of the venue's tables, through real processes.

Each row ends with exactly one order at the exchange, or with none and an order that is FAILED or REJECTED. Answers that
the simulated exchange does not generate are sent by a gateway in front of it.
"""

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate

import pytest

from exchange.simulator.faults import FaultDice, Faults, PlacementAnswer, PlacementFate, StreamFaults
from tests.flow.gateway import Act, Gateway, answers, cuts, falls_silent, running_gateway
from tests.support.processes import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

MAX_ATTEMPTS = 3
QUICK = {
    "PLACEMENT_MAX_ATTEMPTS": f"{MAX_ATTEMPTS}",
    "PLACEMENT_BACKOFF_SECONDS": "0.1",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "0.2",
    "PLACEMENT_TIMEOUT_SECONDS": "0.5",
    "PLACEMENT_SETTLE_SECONDS": "0.3",
    "PLACEMENT_CIRCUIT_OPEN_SECONDS": "0.5",
    "EXCHANGE_CONNECT_TIMEOUT_SECONDS": "0.3",
    "EXCHANGE_RATE_WINDOW_SECONDS": "1",
    "SWEEP_EVERY_SECONDS": "0.1",
    "SWEEP_OVERDUE_SECONDS": "0.1",
}
WITHIN_SECONDS = 15.0
NOT_SENT = 'submission_attempts_total{outcome="not_sent"'
NO_FAULTS = {"latency_ms": 0, "refuse_rate": 0, "error_rate": 0, "ambiguous_rate": 0, "reject_rate": 0} | {
    "hide_seconds": 0,
    "requests_per_minute": 0,
    "down": False,
    "stream": {"drop_rate": 0},
}
UNHEARD = {"drop_rate": 1}
"""The stream would tell of an order before any look-up does."""

SEEDS_TRIED = 1000


@dataclass(frozen=True, slots=True)
class Floor:
    """The system, and the way from its worker to the exchange: a link that can be cut, then a gateway."""

    system: System
    link: Proxy
    gateway: Gateway

    async def ends_placed_once(self, order_id: str) -> Json:
        """Assert that the order becomes PLACED, and that the exchange has it once."""
        order = await self.system.becomes(order_id, "PLACED", within_seconds=WITHIN_SECONDS)
        assert await self.at_exchange(order_id) == 1
        return order

    async def ends_without(self, order_id: str, status: str) -> Json:
        """Assert that the order ends with that status, and that the exchange never had it."""
        order = await self.system.becomes(order_id, status, within_seconds=WITHIN_SECONDS)
        assert await self.at_exchange(order_id) == 0
        return order

    async def at_exchange(self, order_id: str) -> int:
        """Return how many times the exchange accepted the order."""
        name = await self.system.venue_client_order_id(order_id)
        return sum(one["client_order_id"] == name for one in await self.system.journal("order"))

    async def is_tried(self, order_id: str) -> Json:
        """Wait until an attempt has failed, and return the order."""

        async def failed() -> Json | None:
            order = await self.system.order(order_id)
            return order if order["placement"]["lastError"] else None

        return await eventually(failed, within_seconds=WITHIN_SECONDS, what="an attempt failed")

    async def faults(self, **changed: object) -> None:
        """Set the exchange's faults from now on."""
        await self.system.control("PUT", "faults", changed)

    async def next_fate(self, faults: Faults, is_wanted: Callable[[PlacementFate], bool]) -> None:
        """Advance the seed until the next submission draws one of the wanted faults."""
        seed = next(seed for seed in range(SEEDS_TRIED) if is_wanted(FaultDice(seed).draw_placement(faults)))
        await self.faults(**replace(faults, seed=seed).as_json())


@pytest.fixture(scope="module")
async def shared_floor(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[Floor]:
    """One system for all rows."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(
            open_system(database_url=database_url, redis_url=redis_url, settings=QUICK)
        )
        gateway, gateway_url = await stack.enter_async_context(
            running_gateway(system.exchange_url, session=system.session)
        )
        link, system.environment["EXCHANGE_URL"] = await stack.enter_async_context(proxied(gateway_url))
        await system.start("api", "worker", "ingest")
        yield Floor(system, link, gateway)


@pytest.fixture
async def floor(shared_floor: Floor) -> AsyncIterator[Floor]:
    """Return the system without any fault."""
    yield shared_floor
    shared_floor.gateway.acts.clear()
    shared_floor.gateway.key = shared_floor.gateway.resets_in_seconds = None
    await shared_floor.link.restore()
    await shared_floor.faults(**NO_FAULTS)


# --- What each answer to a placement proves ---------------------------------------------------------------------


async def test_a_plain_yes_is_a_placed_order(floor: Floor) -> None:
    order_id = await floor.system.placed_id()

    order = await floor.ends_placed_once(order_id)

    assert order["placement"]["attempts"] == 1


async def test_an_answer_that_the_id_was_used_before_means_it_is_there_already(floor: Floor) -> None:
    # A gateway that repeats the request: the exchange accepts the first and refuses the second.
    floor.gateway.acts.append(
        answers(422, '{"code": 40010001, "message": "client_order_id must be unique"}', forwards=True)
    )

    order = await floor.ends_placed_once(await floor.system.placed_id())

    assert order["placement"]["attempts"] == 1


async def test_a_refused_connection_was_not_sent_and_is_tried_again(floor: Floor) -> None:
    await floor.link.take_away()
    order_id = await floor.system.placed_id()
    waiting = await floor.is_tried(order_id)

    await floor.link.restore()

    assert waiting["status"] == "PENDING"
    await floor.ends_placed_once(order_id)


async def test_connections_that_stay_refused_use_up_no_attempt(floor: Floor) -> None:
    not_sent = await floor.system.metric(NOT_SENT, head="worker")
    await floor.link.take_away()
    order_id = await floor.system.placed_id()

    async def was_tried_often() -> bool:
        return await floor.system.metric(NOT_SENT, head="worker") > not_sent + MAX_ATTEMPTS

    await eventually(was_tried_often, within_seconds=WITHIN_SECONDS, what="more tries than an order has attempts")
    await floor.link.restore()

    order = await floor.ends_placed_once(order_id)
    assert order["placement"]["attempts"] == 1


@pytest.mark.parametrize("failure", ["name", "TLS", "connect time-out"])
async def test_a_connection_that_cannot_be_made_was_not_sent(floor: Floor, failure: str) -> None:
    with _blackhole() as port:
        urls = {
            "name": "http://no-such-exchange.invalid",
            "TLS": f"https://127.0.0.1:{floor.system.ports['exchange']}",
            "connect time-out": f"http://127.0.0.1:{port}",
        }
        async with _only_worker(floor.system, exchange_url=urls[failure]):
            order_id = await floor.system.placed_id()
            waiting = await floor.is_tried(order_id)

    assert waiting["status"] == "PENDING"
    await floor.ends_placed_once(order_id)


async def test_too_many_requests_hold_all_workers_up_until_the_reset_and_cost_no_attempt(floor: Floor) -> None:
    now = time.time()
    floor.gateway.acts.append(
        answers(429, '{"code": 42910000, "message": "too many requests."}', headers=_resets(now, in_seconds=2))
    )
    first = await floor.system.placed_id()
    await floor.is_tried(first)
    placements = floor.gateway.placements

    others = [await floor.system.placed_id() for _ in range(3)]
    waiting = [await floor.system.order(order_id) for order_id in [first, *others]]
    sent_meanwhile = floor.gateway.placements - placements

    assert sent_meanwhile == 0
    assert {order["status"] for order in waiting} == {"PENDING"}
    assert all("too many requests" in order["placement"]["lastError"] for order in waiting)
    for order_id in [first, *others]:
        order = await floor.ends_placed_once(order_id)
        assert order["placement"]["attempts"] == 1
    assert time.time() >= now + 1


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(falls_silent(forwards=True), id="read time-out"),
        pytest.param(cuts(forwards=True), id="reset after sending"),
        pytest.param(answers(408, forwards=True), id="408"),
        pytest.param(answers(500, "<html>oops</html>", forwards=True), id="500"),
        pytest.param(answers(503, '{"message": "busy"}', forwards=True), id="503"),
        pytest.param(answers(200, '{"id": "', forwards=True), id="an unreadable yes"),
        pytest.param(answers(429, "Too Many Requests", forwards=True), id="429 of a gateway"),
    ],
)
async def test_a_lost_answer_leaves_the_order_in_doubt_until_it_is_found(floor: Floor, act: Act) -> None:
    await floor.faults(hide_seconds=0.2, stream=UNHEARD)
    floor.gateway.acts.append(act)
    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "IN_DOUBT", within_seconds=WITHIN_SECONDS)

    await floor.ends_placed_once(order_id)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(falls_silent(forwards=False), id="read time-out"),
        pytest.param(cuts(forwards=False), id="reset after sending"),
        pytest.param(answers(502, "<html>oops</html>"), id="502"),
        pytest.param(answers(200, "<html>welcome</html>"), id="an unreadable yes"),
        pytest.param(answers(404, '{"message": "no Route matched with those values"}'), id="404 of a gateway"),
        pytest.param(answers(404, '{"code": 40410000, "message": "endpoint not found"}'), id="404 of the router"),
        pytest.param(answers(400, '{"message": "Bad Request"}'), id="400 without a code"),
        pytest.param(answers(422, "Unprocessable Entity"), id="422 in plain text"),
        pytest.param(answers(429, "Too Many Requests"), id="429 of a gateway"),
    ],
)
async def test_an_order_that_never_arrived_is_sent_again_after_the_settle_time(floor: Floor, act: Act) -> None:
    floor.gateway.acts.append(act)
    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "IN_DOUBT", within_seconds=WITHIN_SECONDS)

    await floor.ends_placed_once(order_id)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(answers(401, "Authorization Required", forwards=True), id="401"),
        pytest.param(answers(403, '{"message": "forbidden."}', forwards=True), id="403"),
        pytest.param(answers(429, "Too Many Requests", forwards=True), id="429"),
    ],
)
async def test_an_order_that_a_gateway_forwarded_before_it_refused_is_canceled_at_the_exchange(
    floor: Floor, act: Act
) -> None:
    await floor.faults(stream=UNHEARD)
    floor.gateway.acts.append(act)
    order_id = await floor.system.placed_id(type="LIMIT", limitPrice="1", timeInForce="GTC")
    await floor.is_tried(order_id)

    answer = await floor.system.cancel(order_id)
    await floor.faults(stream={"drop_rate": 0})

    assert answer["order"]["status"] == "PENDING_CANCEL"
    await floor.system.becomes(order_id, "CANCELED", within_seconds=WITHIN_SECONDS)
    assert await floor.at_exchange(order_id) == 1


async def test_an_order_whose_every_answer_is_lost_fails_once_it_is_known_not_to_be_there(floor: Floor) -> None:
    floor.gateway.acts.extend([answers(504)] * 3)

    order = await floor.ends_without(await floor.system.placed_id(), "FAILED")

    assert order["placement"]["attempts"] == 3


async def test_a_worker_killed_while_it_sends_leaves_one_order_whether_it_arrived_or_not(floor: Floor) -> None:
    floor.gateway.acts.extend([falls_silent(forwards=True), falls_silent(forwards=False)])
    placements = floor.gateway.placements
    order_ids = [await floor.system.placed_id(), await floor.system.placed_id()]
    await eventually(lambda: floor.gateway.placements >= placements + 2, within_seconds=5, what="both are being sent")

    await floor.system.kill("worker")
    await floor.system.start("worker")

    for order_id in order_ids:
        await floor.ends_placed_once(order_id)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, 40010000, "request body format is invalid"),
        (403, 40310000, "insufficient buying power"),
        (422, 42210000, "market is closed for good"),
    ],
)
async def test_a_refusal_by_the_venue_itself_is_final(floor: Floor, status: int, code: int, message: str) -> None:
    floor.gateway.acts.append(answers(status, json.dumps({"code": code, "message": message})))
    placements = floor.gateway.placements

    order = await floor.ends_without(await floor.system.placed_id(), "REJECTED")

    assert order["reason"]["source"] == "VENUE"
    assert floor.gateway.placements == placements + 1


async def test_a_wrong_key_leaves_the_order_waiting_without_cost_until_it_is_fixed(floor: Floor) -> None:
    floor.gateway.key = "wrong"
    order_id = await floor.system.placed_id()
    await floor.is_tried(order_id)
    await floor.system.processes["worker"].shows("venue_unauthorized", within_seconds=5)
    waiting = await floor.system.order(order_id)

    floor.gateway.key = None

    assert waiting["status"] == "PENDING"
    order = await floor.ends_placed_once(order_id)
    assert order["placement"]["attempts"] == 1


# --- Faults that the simulator can inject -----------------------------------------------------------------------


async def test_an_exchange_that_refuses_one_placement_gets_the_order_by_the_next(floor: Floor) -> None:
    await floor.next_fate(Faults(latency_ms=0, refuse_rate=0.5), lambda fate: fate.is_refused)

    order_id = await floor.system.placed_id()
    await floor.is_tried(order_id)
    await floor.faults(**NO_FAULTS)

    order = await floor.ends_placed_once(order_id)
    assert order["placement"]["attempts"] > 1


async def test_an_exchange_that_limits_requests_gets_the_order_after_the_reset(floor: Floor) -> None:
    await floor.faults(requests_per_minute=2)
    floor.gateway.resets_in_seconds = 1
    order_ids = [await floor.system.placed_id() for _ in range(3)]
    # The first one is passed on; after the first refusal the others are refused too.
    trying = [asyncio.create_task(floor.is_tried(order_id)) for order_id in order_ids]
    refused, waiting = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*refused)

    await floor.faults(**NO_FAULTS)

    for order_id in order_ids:
        await floor.ends_placed_once(order_id)


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_an_error_before_the_order_was_accepted_is_not_believed_to_be_one(floor: Floor, status: int) -> None:
    faults = Faults(latency_ms=0, refuse_rate=0, error_rate=0.5)
    await floor.next_fate(faults, lambda fate: fate.error_status == status)
    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "IN_DOUBT", within_seconds=WITHIN_SECONDS)
    await floor.faults(**NO_FAULTS)

    await floor.ends_placed_once(order_id)


@pytest.mark.parametrize(
    "answer", [PlacementAnswer.DROPPED, PlacementAnswer.ERROR_500, PlacementAnswer.ERROR_504, PlacementAnswer.LATE]
)
async def test_an_order_accepted_without_its_answer_is_found_also_when_it_is_hidden_at_first(
    floor: Floor, answer: PlacementAnswer
) -> None:
    faults = Faults(latency_ms=0, refuse_rate=0, ambiguous_rate=0.5, ambiguous_delay_ms=1000, hide_seconds=0.2)
    faults = replace(faults, stream=StreamFaults(drop_rate=1))
    await floor.next_fate(faults, lambda fate: fate.answer is answer)
    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "IN_DOUBT", within_seconds=WITHIN_SECONDS)

    await floor.ends_placed_once(order_id)


async def test_an_order_that_the_exchange_accepts_after_we_stopped_waiting_is_found(floor: Floor) -> None:
    await floor.faults(latency_ms=600, stream=UNHEARD)
    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "IN_DOUBT", within_seconds=WITHIN_SECONDS)
    await floor.faults(latency_ms=0)

    await floor.ends_placed_once(order_id)


async def test_an_order_that_is_rejected_later_by_the_stream_is_rejected(floor: Floor) -> None:
    await floor.faults(reject_rate=1)

    order_id = await floor.system.placed_id()

    await floor.system.becomes(order_id, "REJECTED", within_seconds=WITHIN_SECONDS)
    assert await floor.at_exchange(order_id) == 1


async def test_an_exchange_that_is_down_for_many_orders_gets_no_requests_until_it_is_up(floor: Floor) -> None:
    await floor.faults(down=True)
    order_ids = await asyncio.gather(*(floor.system.placed_id() for _ in range(60)))
    worker = floor.system.processes["worker"]
    await worker.shows("venue_circuit_opened", within_seconds=WITHIN_SECONDS)
    assert await floor.system.metric("venue_circuit_opened_total", head="worker") == 1

    placements = floor.gateway.placements
    late = await floor.system.placed_id()
    held = await floor.system.order(late)
    await floor.faults(down=False)

    await worker.shows("venue_circuit_closed", within_seconds=WITHIN_SECONDS)
    # Sequentially: sixty concurrent requests would take the processor from the submissions.
    for order_id in [*order_ids, late]:
        await floor.ends_placed_once(order_id)
    assert held["status"] == "PENDING"
    assert held["placement"]["nextAttemptAt"] is not None
    assert floor.gateway.placements >= placements


def _resets(now: float, *, in_seconds: int) -> dict[str, str]:
    return {"X-Ratelimit-Reset": str(int(now) + in_seconds), "Date": formatdate(now, usegmt=True)}


@contextmanager
def _blackhole() -> Iterator[int]:
    """Return a port that never completes a connection: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


@asynccontextmanager
async def _only_worker(system: System, *, exchange_url: str) -> AsyncIterator[None]:
    """Start another worker with this address of the exchange; the usual one is paused meanwhile."""
    usual = dict(system.environment)
    system.processes["worker"].send(signal.SIGSTOP)
    system.environment["EXCHANGE_URL"] = exchange_url
    system.environment["ALLOW_INSECURE"] = "venue-http,simulator-key"
    try:
        await system.start("worker-2")
        yield
        await system.kill("worker-2")
    finally:
        system.environment = usual
        system.processes["worker"].send(signal.SIGCONT)
