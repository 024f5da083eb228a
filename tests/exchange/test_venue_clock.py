"""A venue whose clock differs from ours: missed reports are still found, and the difference is logged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp import web

from domain.model.errors import VenueUnreachableError
from domain.model.order import End
from domain.ports.telemetry import Metric
from domain.services.venue_clock import MeasuredVenueClock
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from runtime.processes.lifecycle import SteadyClock
from tests.exchange.test_transport import answering, serving, settings
from tests.support.examples import ORDER_ID, ended, name_of, now
from tests.support.exchange import Exchange, an_exchange
from tests.support.fakes.clock import SettableClock
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.memory_gateway import SECOND, Desk

SKEW_MAX = 5 * SECOND


@dataclass(frozen=True, slots=True)
class SkewedExchange:
    """The simulated exchange, whose clock differs from ours, and its consumer."""

    exchange: Exchange
    venue: AlpacaVenue
    telemetry: RecordingTelemetry


@asynccontextmanager
async def skewed_exchange(*, venue_ahead_seconds: float) -> AsyncIterator[SkewedExchange]:
    telemetry = RecordingTelemetry()
    clock = MeasuredVenueClock(wall=now, steady=SteadyClock(), telemetry=telemetry, skew_max=SKEW_MAX)
    async with an_exchange() as exchange:
        await exchange.control("PUT", "clock", offset_seconds=venue_ahead_seconds)
        async with open_alpaca_venue(
            exchange.settings, installation=FixedInstallation(), clock=now, telemetry=telemetry, venue_clock=clock
        ) as venue:
            yield SkewedExchange(exchange, venue, telemetry)


@pytest.mark.parametrize("venue_ahead_seconds", [-86_400, -7_200, -90, 0, 90, 7_200])
async def test_a_fill_that_was_missed_while_disconnected_is_found_for_any_time_of_our_clock(
    venue_ahead_seconds: float,
) -> None:
    async with skewed_exchange(venue_ahead_seconds=venue_ahead_seconds) as at_work:
        desk = Desk(clock=SettableClock(now()))
        reconciliation = replace(desk.reconciliation_with(at_work.venue), clock=at_work.venue.venue_clock)
        await reconciliation.catch_up(cause="connect")
        await desk.store()
        await replace(desk.submission, venue=at_work.venue).submit([ORDER_ID])
        await at_work.exchange.fill(name_of(ORDER_ID), qty="4", price="12.50")
        await desk.report(ended(End.CANCELED))  # The stream dropped the fill before it.

        await reconciliation.catch_up(cause="connect")

        assert desk.order().facts.filled_quantity == 4


@pytest.mark.parametrize("venue_ahead_seconds", [-600, 600])
async def test_the_difference_of_the_clocks_is_measured(venue_ahead_seconds: float) -> None:
    async with skewed_exchange(venue_ahead_seconds=venue_ahead_seconds) as at_work:
        await at_work.venue.open_orders()

        assert abs(at_work.telemetry.gauges[Metric.CLOCK_SKEW_SECONDS] + venue_ahead_seconds) < 2
        assert abs(at_work.venue.venue_clock() - now() - venue_ahead_seconds * SECOND) < 2 * SECOND


async def test_the_time_in_a_gateways_error_is_not_the_venues() -> None:
    telemetry = RecordingTelemetry()
    clock = MeasuredVenueClock(wall=now, steady=SteadyClock(), telemetry=telemetry, skew_max=SKEW_MAX)
    wrong = {"Date": "Mon, 05 Jan 2026 08:00:00 GMT"}
    async with (
        serving(answering(lambda: web.Response(status=502, headers=wrong))) as url,
        open_alpaca_venue(
            settings(url), installation=FixedInstallation(), clock=now, telemetry=telemetry, venue_clock=clock
        ) as venue,
    ):
        with pytest.raises(VenueUnreachableError):
            await venue.open_orders()

    assert Metric.CLOCK_SKEW_SECONDS not in telemetry.gauges
