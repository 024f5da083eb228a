"""Wires the reconciliation with the venue, as `runtime.wiring` does the other services."""

from dataclasses import replace
from datetime import timedelta

from domain.services.catch_up import CatchUp
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.fill_repair import FillRepair
from domain.services.look_up_schedule import LookUpPolicy
from domain.services.lost_orders import LostOrders
from domain.services.open_orders import OpenOrders
from domain.services.order_owners import OrderOwners
from domain.services.reconciliation import Reconciliation, ReconciliationPolicy
from domain.services.recording import Recording
from runtime.adapters import LimitedVenue, Stores, WiredProcess
from runtime.settings import Settings


def make_reconciliation(
    process: WiredProcess, stores: Stores, venue: LimitedVenue, recording: Recording
) -> Reconciliation:
    """Return the service that finds what the stream missed."""
    settings, telemetry, orders = process.settings, process.telemetry, stores.orders
    overlap, look_ups = timedelta(seconds=settings.catch_up_overlap_seconds), _look_up_policy(settings)
    steady_clock = process.steady_clock
    owners = OrderOwners(venue=venue, orders=orders, telemetry=telemetry, clock=steady_clock, policy=look_ups)
    fills = CatchUp(
        venue=venue,
        orders=orders,
        recording=recording,
        owners=owners,
        dead_letters=DeadLetterKeeper(source="catch_up", dead_letters=stores.dead_letters, telemetry=telemetry),
        telemetry=telemetry,
        clock=steady_clock,
        pending_max=timedelta(seconds=settings.unresolved_wait_seconds),
    )
    repair = FillRepair(
        venue=venue,
        orders=orders,
        recording=recording,
        fills=fills,
        telemetry=telemetry,
        clock=steady_clock,
        overlap=overlap,
        policy=replace(look_ups, first_pause=timedelta(seconds=settings.catch_up_pause_seconds)),
        alert_after=timedelta(seconds=settings.fills_missing_alert_seconds),
    )
    open_orders = OpenOrders(
        venue=venue,
        orders=orders,
        recording=recording,
        fills=fills,
        telemetry=telemetry,
        clock=steady_clock,
        venue_clock=venue.venue_clock,
        overlap=overlap,
        pages_max=settings.reconcile_pages_max,
        look_ups=look_ups,
        lost=LostOrders(
            telemetry=telemetry, clock=steady_clock, lost_after=timedelta(seconds=settings.reconcile_lost_seconds)
        ),
    )
    return Reconciliation(
        venue=venue,
        orders=orders,
        positions=stores.positions,
        recording=recording,
        fills=fills,
        open_orders=open_orders,
        repair=repair,
        telemetry=telemetry,
        clock=venue.venue_clock,
        policy=ReconciliationPolicy(
            overlap=overlap,
            first_look_back=timedelta(seconds=settings.catch_up_first_seconds),
            closed_look_back=timedelta(seconds=settings.catch_up_closed_seconds),
        ),
    )


def _look_up_policy(settings: Settings) -> LookUpPolicy:
    return LookUpPolicy(
        per_run_max=settings.reconcile_look_ups_max,
        run_within=timedelta(seconds=settings.reconcile_look_ups_seconds),
        first_pause=timedelta(seconds=settings.reconcile_look_up_pause_seconds),
        pause_max=timedelta(seconds=settings.reconcile_look_up_pause_max_seconds),
    )
