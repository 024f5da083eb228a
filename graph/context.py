"""What resolvers work with: the services of the process, who is asking, and a batch for instruments."""

from collections.abc import Sequence
from dataclasses import dataclass

import strawberry
from strawberry.dataloader import DataLoader

from domain.cancellation import Cancellation
from domain.placement import Placement
from domain.ports.clock_and_ids import Clock
from domain.ports.reading import InstrumentCatalog, OrderReader
from domain.ports.telling import LiveFeed
from domain.telemetry import Telemetry
from domain.trading_control import TradingControl
from domain.values import Instrument
from graph.settings import GraphSettings
from graph.viewer import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything of the process that resolvers use; the runtime builds one."""

    placement: Placement
    cancellation: Cancellation
    control: TradingControl
    reader: OrderReader
    catalog: InstrumentCatalog
    feed: LiveFeed
    telemetry: Telemetry
    clock: Clock
    settings: GraphSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request, or one websocket: the services, the bearer of its token, and the batch of instruments."""

    services: Services
    viewer: Viewer
    instruments: DataLoader[str, Instrument | None]


Info = strawberry.Info[Context, None]


def context_for(viewer: Viewer, services: Services) -> Context:
    """The context of one request or socket. Call it in the event loop that will run it."""

    async def load(isins: list[str]) -> Sequence[Instrument | None]:
        found = await services.catalog.find_many(frozenset(isins))
        return [found.get(isin) for isin in isins]

    # It batches what one turn of the event loop asks for, and keeps nothing: a websocket's context lives as long as
    # the socket, and a kept instrument would go stale there.
    return Context(services=services, viewer=viewer, instruments=DataLoader(load_fn=load, cache=False))
