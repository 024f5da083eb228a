"""The context of resolvers: the services of the process, the bearer, and a batch loader for instruments."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import strawberry
from starlette.types import Scope
from strawberry.dataloader import DataLoader

from domain.model.operator_actions import Actor
from domain.model.values import Instrument
from domain.ports.audit import AccountSeals, OperatorActions
from domain.ports.clock_and_ids import Clock
from domain.ports.notifications import LiveFeed
from domain.ports.readers import AccountReader, InstrumentCatalog, OrderReader
from domain.ports.telemetry import Telemetry
from domain.services.cancellation import Cancellation
from domain.services.placement import Placement
from domain.services.resolution import ResolutionDesk
from domain.services.token_revocation import TokenRevocation
from domain.services.trading_control import TradingControl
from graph.auth.bearer import Bearer
from graph.limits.deadline import Deadline, Deadlines
from graph.limits.query_concurrency import QueryConcurrency, QuerySlots
from graph.settings import GraphSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything of the process that resolvers use; the runtime builds one."""

    placement: Placement
    cancellation: Cancellation
    control: TradingControl
    actions: OperatorActions
    seals: AccountSeals
    revocation: TokenRevocation
    resolution: ResolutionDesk
    reader: OrderReader
    accounts: AccountReader
    catalog: InstrumentCatalog
    feed: LiveFeed
    telemetry: Telemetry
    clock: Clock
    settings: GraphSettings
    deadlines: Deadlines = field(default_factory=Deadlines)
    query_concurrency: QueryConcurrency = field(default_factory=QueryConcurrency)
    waits: Counter[str] = field(default_factory=Counter)
    """How many orders of each account are waited for at the moment."""


class Context:
    """One request, or one websocket: the services, the bearer of its token, and the batch of instruments."""

    __slots__ = ("_instruments", "_scope", "bearer", "services")

    def __init__(self, *, services: Services, bearer: Bearer, scope: Scope | None = None) -> None:
        self.services = services
        self.bearer = bearer
        self._scope = scope
        self._instruments: DataLoader[str, Instrument | None] | None = None

    @property
    def actor(self) -> Actor:
        """Return the actor, for the audit trail."""
        return Actor(
            subject=self.bearer.subject,
            token_id=self.bearer.token_id,
            address=None if self._scope is None else peer_address(self._scope),
            account_ids=frozenset(self.bearer.account_ids),
        )

    def deadline(self, kind: str) -> Deadline:
        """Return the deadline of an operation of that kind, to be entered when it begins."""
        services = self.services
        seconds = services.settings.operation_timeout_seconds
        return Deadline(services.deadlines, services.telemetry, seconds=seconds, kind=kind)

    def query_slots(self, objects: int) -> QuerySlots:
        """Return the slots of a running query, by the number of objects that its answer can contain: an account has
        a limited number of slots.
        """
        services, settings = self.services, self.services.settings
        return services.query_concurrency.slots(
            self.bearer.limit_key, count=-(-objects // settings.query_slot_objects), at_once=settings.queries_at_once
        )

    @property
    def instruments(self) -> DataLoader[str, Instrument | None]:
        """Return the loader that reads all instruments requested within one iteration of the event loop with one call.

        It caches nothing: a websocket's context lives as long as the socket, and a cached instrument would become
        outdated. Created on first use, since most operations need none.
        """
        if self._instruments is None:
            self._instruments = DataLoader(load_fn=partial(_load, self.services.catalog), cache=False)
        return self._instruments


FORWARDED_MAX_CHARACTERS = 200

Info = strawberry.Info[Context, None]


def context_for(bearer: Bearer, services: Services, scope: Scope | None = None) -> Context:
    """Return the context of one request or socket, with its ASGI scope. Use it in the event loop that created it."""
    return Context(services=services, bearer=bearer, scope=scope)


def peer_address(scope: Scope) -> str | None:
    """Return the address of the connection's peer, and its X-Forwarded-For.

    Behind a proxy the peer is the proxy. X-Forwarded-For is only a claim: no decision uses it.
    """
    client = scope.get("client")
    address = client[0] if client else "unknown"
    forwarded = b", ".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    shown = "".join(character for character in forwarded if character.isprintable())[:FORWARDED_MAX_CHARACTERS]
    return f"{address}, forwarded for {shown}" if shown else address


async def _load(catalog: InstrumentCatalog, isins: list[str]) -> Sequence[Instrument | None]:
    found = await catalog.find_many(frozenset(isins))
    return [found.get(isin) for isin in isins]
