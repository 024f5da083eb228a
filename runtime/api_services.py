"""Wires what GraphQL's resolvers work with, as `runtime.wiring` does the services."""

from domain.ports.notifications import LiveFeed
from graph.context import Services
from graph.settings import GraphSettings
from runtime.adapters import Signals, Stores, WiredProcess
from runtime.wiring import (
    make_cancellation,
    make_placement,
    make_recording,
    make_resolution_desk,
    make_token_revocation,
    make_trading_control,
)


def make_services(
    process: WiredProcess, stores: Stores, signals: Signals, *, feed: LiveFeed, settings: GraphSettings
) -> Services:
    """Return what resolvers work with."""
    return Services(
        placement=make_placement(process, stores, signals),
        cancellation=make_cancellation(stores, signals, make_recording(process, stores, signals)),
        control=make_trading_control(process, stores),
        actions=stores.actions,
        seals=stores.seals,
        revocation=make_token_revocation(process, stores),
        resolution=make_resolution_desk(process, stores),
        reader=stores.reader,
        accounts=stores.accounts,
        catalog=stores.catalog,
        feed=feed,
        telemetry=process.telemetry,
        clock=process.clock,
        settings=settings,
    )
