"""The adapter against the simulated exchange, through real sockets: the contract of the ports Venue and VenueStream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from domain.model.errors import VenueUnreachableError
from domain.model.reports import OrderAccepted, OrderEnded, OrderFilled
from domain.model.values import OrderType, Side, Terms, TimeInForce
from domain.ports.venue import ListedFill, StreamItem, UnreadableFill, Venue, VenueReport, VenueStream
from domain.ports.venue_outcomes import (
    CancelNotPossible,
    CancelTaken,
    NotExecuted,
    OutcomeUnknown,
    Placed,
    Rejected,
    Unauthorized,
)
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.simulator.faults import NO_FAULTS, StreamFaults
from exchange.simulator.stream import Frames
from tests.support.exchange import an_exchange
from tests.support.fakes.installation import FixedInstallation, new_name

WAIT_SECONDS = 10.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def terms(venue: AlpacaVenue, **changes: object) -> Terms:
    instrument = next(each for each in await venue.instruments() if each.tradable)
    market = Terms(
        client_order_id="mine",
        isin=instrument.isin,
        symbol=instrument.symbol,
        side=Side.BUY,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=instrument.lot_size * 10,
        limit_price=None,
    )
    return replace(market, **changes)  # type: ignore[arg-type] # a test changes any field


async def take(reports: AsyncIterator[Sequence[StreamItem]], count: int) -> list[StreamItem]:
    taken: list[StreamItem] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while len(taken) < count:
            taken += await anext(reports)
    assert len(taken) == count
    return taken


async def test_the_adapter_is_a_venue_and_a_venue_stream() -> None:
    async with an_exchange() as exchange:
        venue: Venue = exchange.venue
        stream: VenueStream = exchange.stream

        assert venue.name == "alpaca"
        assert stream is exchange.stream


async def test_every_instrument_with_an_isin_is_listed() -> None:
    async with an_exchange() as exchange:
        instruments = await exchange.venue.instruments()

    assert len({instrument.isin for instrument in instruments}) == len(instruments) > 10
    assert {instrument.tradable for instrument in instruments} == {True, False}


async def test_a_fresh_order_may_be_hidden_from_look_ups() -> None:
    async with an_exchange(faults=replace(NO_FAULTS, hide_seconds=60)) as exchange:
        name = new_name()
        assert isinstance(await exchange.venue.submit(name, await terms(exchange.venue)), Placed)

        assert await exchange.venue.find(name) is None


async def test_an_order_that_breaks_a_rule_is_refused() -> None:
    async with an_exchange() as exchange:
        unknown = await exchange.venue.submit(new_name(), await terms(exchange.venue, symbol="NOSUCH"))

        assert isinstance(unknown, Rejected)
        assert "NOSUCH" in unknown.reason.message


async def test_a_declared_refusal_proves_that_nothing_happened() -> None:
    async with an_exchange(faults=replace(NO_FAULTS, refuse_rate=1)) as exchange:
        name = new_name()

        assert isinstance(await exchange.venue.submit(name, await terms(exchange.venue)), NotExecuted)
        assert await exchange.venue.find(name) is None


async def test_an_exchange_that_is_down_reports_it() -> None:
    async with an_exchange() as exchange:
        wanted = await terms(exchange.venue)
        await exchange.control("PUT", "faults", down=True)

        assert isinstance(await exchange.venue.submit(new_name(), wanted), NotExecuted)
        with pytest.raises(VenueUnreachableError, match="down"):
            await exchange.venue.find(new_name())
        with pytest.raises(VenueUnreachableError, match="503"):
            await exchange.stream.connect().__aenter__()


async def test_an_answer_that_is_lost_leaves_the_order_at_the_venue() -> None:
    faults = replace(NO_FAULTS, ambiguous_rate=1, ambiguous_delay_ms=60_000)
    async with an_exchange(faults=faults) as exchange:
        quick = replace(exchange.settings, request_timeout_seconds=0.5)
        clock, wanted = lambda: datetime.now(UTC), await terms(exchange.venue)
        async with open_alpaca_venue(
            quick, installation=FixedInstallation(), clock=clock, telemetry=exchange.telemetry
        ) as venue:
            for _ in range(8):
                name = new_name()
                assert isinstance(await venue.submit(name, wanted), OutcomeUnknown)
                assert await exchange.venue.find(name) is not None


async def test_a_gateway_error_proves_nothing() -> None:
    async with an_exchange(faults=replace(NO_FAULTS, error_rate=1)) as exchange:
        assert isinstance(await exchange.venue.submit(new_name(), await terms(exchange.venue)), OutcomeUnknown)


async def test_a_wrong_key_is_distinguished() -> None:
    async with an_exchange() as right, an_exchange(secret="wrong") as wrong:
        assert isinstance(await wrong.venue.submit(new_name(), await terms(right.venue)), Unauthorized)
        with pytest.raises(VenueUnreachableError, match="key"):
            await wrong.stream.connect().__aenter__()


@pytest.mark.parametrize("frames", ["binary", "text"])
async def test_an_orders_reports_arrive_by_the_stream_and_its_fills_again_by_rest(frames: Frames) -> None:
    async with an_exchange(frames=frames) as exchange, exchange.stream.connect() as reports:
        name = new_name()
        placed = await exchange.venue.submit(name, await terms(exchange.venue, quantity=Decimal(10)))
        assert isinstance(placed, Placed)
        accepted = await take(reports, 1)
        await exchange.fill(name, qty="4", price="12.5")
        await exchange.fill(name, qty="6", price="12.6")
        filled = await take(reports, 2)

        seen = [report for each in accepted + filled if isinstance(each, VenueReport) for report in each.reports]
        by_rest = _readable([page async for page in exchange.venue.fills(since=LONG_AGO)])
        found = await exchange.venue.find(name)
        open_orders = await exchange.venue.open_orders()

    assert [type(report) for report in seen] == [OrderAccepted, OrderFilled, OrderFilled]
    fills = [report for report in seen if isinstance(report, OrderFilled)]
    assert [(fill.trade.quantity, fill.cumulative_quantity) for fill in fills] == [
        (Decimal(4), Decimal(4)),
        (Decimal(6), Decimal(10)),
    ]
    assert [report.reports for report in by_rest] == [(fill,) for fill in fills]
    assert {report.venue_order_id for report in by_rest} == {placed.report.venue_order_id}
    assert found is not None
    assert (found.is_open, found.filled_quantity) == (False, Decimal(10))
    assert open_orders.orders == []


async def test_fills_are_read_page_by_page_from_a_moment_on() -> None:
    async with an_exchange() as exchange:
        name = new_name()
        await exchange.venue.submit(name, await terms(exchange.venue, quantity=Decimal(1000)))
        for _ in range(205):
            await exchange.fill(name, qty="1", price="10")

        pages = [page async for page in exchange.venue.fills(since=LONG_AGO)]
        everything = _readable(pages)
        later = _readable([page async for page in exchange.venue.fills(since=everything[150].at)])
        future = [page async for page in exchange.venue.fills(since=datetime.now(UTC) + timedelta(hours=1))]

    assert [len(page) for page in pages] == [100, 100, 5]
    totals = [fill.cumulative_quantity for each in everything for fill in each.reports if isinstance(fill, OrderFilled)]
    assert totals == [Decimal(n) for n in range(1, 206)]
    assert everything[150:] == later[-len(everything[150:]) :]
    assert future == []


async def test_a_canceled_order_reports_its_end_by_the_stream_and_by_rest() -> None:
    async with an_exchange() as exchange, exchange.stream.connect() as reports:
        name = new_name()
        placed = await exchange.venue.submit(name, await terms(exchange.venue))
        assert isinstance(placed, Placed)

        assert await exchange.venue.cancel(placed.report.venue_order_id) == CancelTaken()

        async with asyncio.timeout(WAIT_SECONDS):
            while not any(isinstance(each, OrderEnded) for one in await anext(reports) for each in _reports(one)):
                pass
        found = await exchange.venue.find(name)
        again = await exchange.venue.cancel(placed.report.venue_order_id)
        unknown = await exchange.venue.cancel(str(uuid4()))
    assert found is not None
    assert [type(report) for report in found.reports] == [OrderAccepted, OrderEnded]
    assert isinstance(again, CancelNotPossible)
    assert isinstance(unknown, CancelNotPossible)


async def test_an_order_that_is_rejected_later_reports_only_its_end() -> None:
    faults = replace(NO_FAULTS, reject_rate=1)
    async with an_exchange(faults=faults) as exchange, exchange.stream.connect() as reports:
        name = new_name()
        await exchange.venue.submit(name, await terms(exchange.venue))

        async with asyncio.timeout(WAIT_SECONDS):
            while not any(isinstance(each, OrderEnded) for one in await anext(reports) for each in _reports(one)):
                pass
        found = await exchange.venue.find(name)

    assert found is not None
    assert [type(report) for report in found.reports] == [OrderEnded]


async def test_null_frames_are_skipped_and_counted() -> None:
    faults = replace(NO_FAULTS, stream=StreamFaults(null_rate=1))
    async with an_exchange(faults=faults) as exchange, exchange.stream.connect() as reports:
        await exchange.venue.submit(new_name(), await terms(exchange.venue))

        assert all(isinstance(each, VenueReport) for each in await take(reports, 1))
    assert exchange.telemetry.counts.total() > 0


async def test_the_second_stream_is_refused_while_there_is_another() -> None:
    async with an_exchange() as exchange, exchange.stream.connect():
        with pytest.raises(VenueUnreachableError, match="429"):
            await exchange.stream.connect().__aenter__()


async def test_a_disconnected_stream_is_logged() -> None:
    async with an_exchange() as exchange, exchange.stream.connect() as reports:
        await exchange.control("POST", "disconnect")

        with pytest.raises(VenueUnreachableError, match="lost"):
            await take(reports, 1)


def _readable(pages: Sequence[Sequence[ListedFill]]) -> list[VenueReport]:
    fills = [fill for page in pages for fill in page]
    assert not any(isinstance(fill, UnreadableFill) for fill in fills)
    return [fill for fill in fills if isinstance(fill, VenueReport)]


def _reports(report: StreamItem) -> tuple[object, ...]:
    return tuple(report.reports) if isinstance(report, VenueReport) else ()


async def test_the_fills_of_one_order_are_listed_by_its_id_including_omitted_ones() -> None:
    # Fills of one millisecond are listed in any order.
    async def ids(pages: AsyncGenerator[Sequence[ListedFill]]) -> set[tuple[str, str]]:
        reports = [one async for page in pages for one in page if isinstance(one, VenueReport)]
        fills = [(one.venue_order_id, fill) for one in reports for fill in one.reports]
        return {(of, fill.venue_execution_id) for of, fill in fills if isinstance(fill, OrderFilled)}

    async with an_exchange() as exchange:
        venue, names = exchange.venue, [new_name(), new_name()]
        placed = [await venue.submit(name, await terms(venue)) for name in names]
        for name in (names[0], names[0], names[1]):
            await exchange.fill(name, qty="1", price="10")
        (first, _) = [one.report.venue_order_id for one in placed if isinstance(one, Placed)]
        everything = await ids(venue.fills(since=LONG_AGO))
        of_first = {one for one in everything if one[0] == first}
        omitted = min(of_first)
        await exchange.control("PUT", "listing", omitted=[omitted[1]])

        by_order = await ids(venue.fills_of(first))
        rest = await ids(venue.fills(since=LONG_AGO))

    assert (len(everything), len(of_first)) == (3, 2)
    assert by_order == of_first
    assert rest == everything - {omitted}
