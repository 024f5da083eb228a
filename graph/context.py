"""What resolvers work with: the services of the process, who is asking, and a batch for instruments."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

import strawberry
from strawberry.dataloader import DataLoader

from domain.model.values import Instrument
from domain.ports.clock_and_ids import Clock
from domain.ports.notifications import LiveFeed
from domain.ports.readers import InstrumentCatalog, OrderReader
from domain.ports.telemetry import Telemetry
from domain.services.cancellation import Cancellation
from domain.services.placement import Placement
from domain.services.trading_control import TradingControl
from graph.auth.bearer import Viewer
from graph.limits.deadlines import Deadlines
from graph.limits.query_concurrency import QueryConcurrency
from graph.settings import GraphSettings


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
    deadlines: Deadlines = field(default_factory=Deadlines)
    turns: QueryConcurrency = field(default_factory=QueryConcurrency)


class Context:
    """One request, or one websocket: the services, the bearer of its token, and the batch of instruments."""

    __slots__ = ("_instruments", "services", "viewer")

    def __init__(self, *, services: Services, viewer: Viewer) -> None:
        self.services = services
        self.viewer = viewer
        self._instruments: DataLoader[str, Instrument | None] | None = None

    def turn(self) -> AbstractAsyncContextManager[None]:
        """To be held by a query while it is at work."""
        return self.services.turns.taken(self.viewer.account_id, at_once=self.services.settings.queries_at_once)

    @property
    def instruments(self) -> DataLoader[str, Instrument | None]:
        """Loads the instruments that one turn of the event loop asks for at once.

        It keeps nothing: a websocket's context lives as long as the socket, and a kept instrument would go stale there.
        Made when it is used first, since most operations ask for none.
        """
        if self._instruments is None:
            self._instruments = DataLoader(load_fn=partial(_load, self.services.catalog), cache=False)
        return self._instruments


Info = strawberry.Info[Context, None]


def context_for(viewer: Viewer, services: Services) -> Context:
    """The context of one request or socket. Use it in the event loop that made it."""
    return Context(services=services, viewer=viewer)


async def _load(catalog: InstrumentCatalog, isins: list[str]) -> Sequence[Instrument | None]:
    found = await catalog.find_many(frozenset(isins))
    return [found.get(isin) for isin in isins]
