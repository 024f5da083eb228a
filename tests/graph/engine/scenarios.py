"""Equal worlds: the state behind the API, and its failures."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar, cast
from uuid import UUID

from hypothesis import strategies as st

from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import UnavailableError
from domain.model.order import End
from domain.model.order_query import Page
from domain.model.resolutions import AskVenue, NewResolution, Refusal, Resolution
from domain.model.values import OrderType, Reason, ReasonSource, Side, TimeInForce
from domain.services.place_order import PlaceOrder
from domain.services.venue_answers import AnswerKind, VenueAnswer, write_answer
from graph.auth.bearer import Bearer
from graph.context import Context, context_for
from tests.support.api_world import World
from tests.support.examples import accepted, cancel_asked, ended, filled
from tests.support.fakes.order_reader import MemoryOrderReader

Item = TypeVar("Item")

SPOILED: Mapping[str, Any] = {
    "account_id": None,
    "venue_order_id": 7,
    "version": 2**40,
    "created_at": None,
    "updated_at": ValueError("an exception in place of a value"),
    "reason": Reason(source=ReasonSource.VENUE, code=None, message="no code"),  # type: ignore[arg-type]  # spoiled
    "placement": None,
}
"""What an order has in place of a good value: null where it may not stand, a value that does not fit, an exception."""


class Worker(Enum):
    """The state of the worker that applies operators' requests."""

    AWAY = "away"
    WILLING = "willing"
    REFUSING = "refusing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is wrong."""

    failure: Exception | None = None
    spoiled: Mapping[str, Any] = field(default_factory=dict)
    missing_instruments: frozenset[str] = frozenset()
    is_catalog_down: bool = False
    worker: Worker = Worker.AWAY
    scopes: frozenset[str] = frozenset({"orders:read", "orders:place", "orders:cancel"})


scenarios = st.builds(
    Scenario,
    failure=st.sampled_from([None, None, None, UnavailableError("down"), RuntimeError("a bug")]),
    spoiled=st.one_of(
        st.just({}), st.sampled_from(sorted(SPOILED)).map(lambda name: {name: SPOILED[name]}), st.just(SPOILED)
    ),
    missing_instruments=st.sampled_from([frozenset(), frozenset(), frozenset({"US0378331005"})]),
    is_catalog_down=st.sampled_from([False, False, False, True]),
    worker=st.sampled_from(Worker),
    scopes=st.sampled_from(
        [
            frozenset({"orders:read", "orders:place", "orders:cancel"}),
            frozenset({"orders:read", "orders:place", "orders:cancel", "operator"}),
            frozenset({"orders:read"}),
            frozenset({"orders:place"}),
        ]
    ),
)


class SpoilingReader(MemoryOrderReader):
    """A reader whose orders have something in place of a good value."""

    def __init__(self, world: World, spoiled: Mapping[str, Any]) -> None:
        super().__init__(world.orders)
        self._spoiled = spoiled

    async def orders_by_id(self, *given: Any, **named: Any) -> Mapping[UUID, OrderSnapshot]:
        found = await super().orders_by_id(*given, **named)
        return {order_id: self._spoil(order) for order_id, order in found.items()}

    async def by_client_order_id(self, *given: Any, **named: Any) -> OrderSnapshot | None:
        found = await super().by_client_order_id(*given, **named)
        return None if found is None else self._spoil(found)

    async def page(self, *given: Any, **named: Any) -> Page[OrderSnapshot]:
        page = await super().page(*given, **named)
        # Every other one, so that valid and invalid ones alternate in a list.
        return replace(page, rows=[self._spoil(row) if n % 2 else row for n, row in enumerate(page.rows)])

    async def history(self, *given: Any, **named: Any) -> Page[RecordedChange]:
        page = await super().history(*given, **named)
        return replace(page, rows=[replace(row, order=self._spoil(row.order)) for row in page.rows])

    def _spoil(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, **self._spoiled)


class SpoilingFeed:
    """A feed whose changes have something in place of a valid value. Like the hub's, it sends the same object to
    all.
    """

    def __init__(self, world: World, spoiled: Mapping[str, Any]) -> None:
        self._feed = world.feed
        self._spoiled = spoiled
        self._given: dict[int, RecordedChange] = {}

    async def order(self, *given: Any, **named: Any) -> AsyncGenerator[Any]:
        async with aclosing(self._feed.order(*given, **named)) as items:
            async for some in items:
                yield [self._spoil(item) for item in some]

    async def account(self, *given: Any, **named: Any) -> AsyncGenerator[Any]:
        async with aclosing(self._feed.account(*given, **named)) as items:
            async for some in items:
                yield [self._spoil(item) for item in some]

    def _spoil(self, item: Item) -> Item:
        if not self._spoiled or not isinstance(item, RecordedChange) or item.order.version % 2:
            return item
        if item.sequence not in self._given:
            self._given[item.sequence] = replace(item, order=replace(item.order, **self._spoiled))
        return cast("Item", self._given[item.sequence])


class PromptRequests:
    """Operators' requests that are completed when they are stored, without waiting. Without a worker they stay open."""

    def __init__(self, world: World, worker: Worker) -> None:
        self._stored = world.orders.resolutions
        self._worker = worker

    async def add(self, new: NewResolution) -> Resolution:
        asked = await self._stored.add(new)
        if self._worker is Worker.REFUSING:
            await self._stored.refuse(asked.id, Refusal(field="action", message="not that"))
        elif self._worker is Worker.WILLING and isinstance(new.action, AskVenue):
            answer = VenueAnswer(asked_at=asked.asked_at, outcome=AnswerKind.NO_ANSWER, error="the venue is away")
            await self._stored.answer(asked.id, write_answer(answer))
        elif self._worker is Worker.WILLING:
            await self._stored.complete(asked.id, before="{}", after="{}")
        return await self._stored.find(asked.id)

    async def find(self, resolution_id: UUID) -> Resolution:
        return await self._stored.find(resolution_id)


async def make_changes(world: World) -> None:
    """Generate changes of several orders, new and old."""
    world.orders.failure = None
    for order_id in list(world.orders.rows):
        await world.report(order_id, accepted(venue_order_id="V9"), filled("2", name=f"late {order_id}"))


async def world_of(scenario: Scenario) -> tuple[World, Context]:
    """Return a world with some history, and the context of a request in it. Two of the same scenario are equal."""
    world = World(has_worker=True)
    await _fill(world)
    services = world.services()
    reader, feed = SpoilingReader(world, scenario.spoiled), SpoilingFeed(world, scenario.spoiled)
    world.orders.failure = world.feed.failure = scenario.failure
    for isin in scenario.missing_instruments:
        del world.catalog.instruments[isin]
    if scenario.is_catalog_down:
        world.catalog.instruments = _Down()  # type: ignore[assignment]  # it is down
    bearer = Bearer(
        subject="alice",
        account_ids=("alice",),
        scopes=scenario.scopes,
        token_expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    requests = PromptRequests(world, scenario.worker)
    resolution = replace(services.resolution, requests=requests, done_within=timedelta(0))
    return world, context_for(bearer, replace(services, reader=reader, feed=feed, resolution=resolution))


class _Down:
    def __getattr__(self, name: str) -> object:
        raise UnavailableError("the catalog is down")

    def __contains__(self, key: object) -> bool:
        raise UnavailableError("the catalog is down")


async def _fill(world: World) -> None:
    """Create five orders: filled in part, canceled, with a cancel request, waiting, and one of another account."""
    ids = [await _place(world, f"c-{number}", account_id="alice") for number in range(4)]
    await _place(world, "c-0", account_id="bob")
    await world.report(ids[0], accepted(), filled("4"), filled("1.5", name="E2", price="12.75"))
    await world.report(ids[1], accepted(), filled("1", name="E3"), ended(End.CANCELED))
    await world.report(ids[2], accepted(), cancel_asked())


async def _place(world: World, client_order_id: str, *, account_id: str) -> UUID:
    is_market = client_order_id == "c-2"
    command = PlaceOrder(
        account_id=account_id,
        client_order_id=client_order_id,
        isin="US0378331005",
        side=Side.SELL if is_market else Side.BUY,
        type=OrderType.MARKET if is_market else OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        quantity=Decimal(10),
        limit_price=None if is_market else Decimal("150.25"),
    )
    return (await world.services().placement.place(command)).order.id
