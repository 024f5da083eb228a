"""Any state of an order: every way of reading it returns the same as the order built from its whole row."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.database import Database
from db.order_reader import PostgresOrderReader
from db.order_rows import ORDER_COLUMN_NAMES, order_of, placement_of
from domain.model.changes import OrderSnapshot, snapshot
from domain.model.order import End, VenueCount
from domain.model.order_query import OrderFilter, OrderSort, PageRequest
from domain.model.reports import OrderEnded, OrderReplaced, Report
from domain.model.restatement import Restatement
from tests.db.test_status_property import reports
from tests.support.examples import VENUE_SAYS
from tests.support.fakes.clock import MIDNIGHT
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

CASES = 25
WHOLE_ROWS = f"SELECT {ORDER_COLUMN_NAMES} FROM orders AS o WHERE o.id = ANY($1)"  # noqa: S608 - our own columns
AT = MIDNIGHT + timedelta(seconds=9)
of_successors: st.SearchStrategy[Report] = st.one_of(
    st.builds(
        OrderReplaced,
        venue_order_id=st.sampled_from(["v-2", "v-3"]),
        replaces=st.sampled_from(["v-1", "v-2"]),
        at=st.just(AT),
        restatement=st.none()
        | st.builds(
            Restatement, at=st.just(AT), quantity=st.just(Decimal(5)), symbol=st.just("META"), limit_price=st.none()
        ),
        completed=st.none() | st.just(Decimal(4)),
    ),
    st.builds(
        OrderEnded,
        end=st.sampled_from(End),
        reason=st.just(VENUE_SAYS),
        venue_order_id=st.sampled_from(["v-1", "v-2"]),
        at=st.just(AT),
        count=st.none() | st.builds(VenueCount, at=st.just(AT), quantity=st.just(Decimal(3))),
    ),
)
MINE = OrderFilter(account_ids=("alice",))


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    # The database is shared by the examples on purpose: each uses its own orders.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fate=st.lists(reports | of_successors, max_size=8))
async def test_every_reading_shows_what_the_order_itself_would(database: Database, fate: Sequence[Report]) -> None:
    clerk, reader = Clerk(make_store(database)), PostgresOrderReader(database)
    # The venue's ids belong to one order each: the other one stays as it was accepted.
    ids = await clerk.store(2)
    await clerk.record({ids[0]: fate})

    rows = await database.fetch(WHOLE_ROWS, ids)
    expected = {row["id"]: snapshot(order_of(row), placement=placement_of(row)) for row in rows}

    assert await _newest(reader, sort=OrderSort.CREATED_DESC, ids=ids) == expected
    assert await _newest(reader, sort=OrderSort.UPDATED_DESC, ids=ids) == expected
    assert await reader.orders_by_id(ids, account_ids=("alice",)) == expected
    assert {order_id: await reader.order(order_id, account_ids=("alice",)) for order_id in ids} == expected
    await database.fetch("DELETE FROM executions")


async def _newest(reader: PostgresOrderReader, *, sort: OrderSort, ids: Sequence[UUID]) -> dict[UUID, OrderSnapshot]:
    """Return the first page, from the literal statement for the one sort and the composed one for the other."""
    page = await reader.page(PageRequest(limit=len(ids)), sort=sort, filter=MINE)
    return {order.id: order for order in page.rows}
