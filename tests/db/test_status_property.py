"""Any reports of the venue in any order: the stored status is derived from the stored facts."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.database import Database
from domain.model.executions import Trade
from domain.model.order import End, VenueRank
from domain.model.reports import (
    CancelRefused,
    CancelRequested,
    CancelSent,
    ExecutionBusted,
    ExecutionCorrected,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRestated,
    Report,
    SubmissionGivenUp,
    SubmissionInDoubt,
    SubmissionRefused,
)
from domain.model.restatement import Restatement
from domain.model.values import Reason, ReasonSource
from tests.support.fakes.clock import MIDNIGHT
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

REPORTS_MAX = 12
CASES = 25
LATEST_CHANGES = """
SELECT o.id FROM orders AS o
JOIN order_changes AS c ON c.order_id = o.id AND c.version = o.version
WHERE (c.status, c.filled_quantity, c.notional, c.venue_order_id, c.at)
    IS DISTINCT FROM (o.status, o.filled_quantity, o.notional, o.venue_order_id, o.updated_at)
"""

names = st.sampled_from(["e-1", "e-2", "e-3"])
moments = st.integers(0, 5).map(lambda second: MIDNIGHT + timedelta(seconds=second))
trades = st.builds(Trade, quantity=st.decimals("0.5", 60, places=1), price=st.decimals(1, 9, places=2))
reasons = st.builds(Reason, source=st.sampled_from(ReasonSource), code=st.sampled_from("ab"), message=st.just("m\x00"))
numbers = st.integers(0, 3)
venue_ids = st.sampled_from([None, "v-1"])

reports: st.SearchStrategy[Report] = st.one_of(
    st.builds(OrderAccepted, venue_order_id=st.just("v-1"), rank=st.sampled_from(VenueRank), at=moments),
    st.builds(
        OrderFilled,
        venue_execution_id=names,
        trade=trades,
        cumulative_quantity=st.sampled_from([None, Decimal(10), Decimal(20)]),
        venue_order_id=venue_ids,
        at=moments,
    ),
    st.builds(ExecutionCorrected, venue_execution_id=names, trade=trades, at=moments),
    st.builds(ExecutionBusted, venue_execution_id=names, at=moments),
    st.builds(OrderEnded, end=st.sampled_from(End), reason=reasons, venue_order_id=venue_ids, at=moments),
    st.builds(
        OrderRestated,
        venue_order_id=st.just("v-1"),
        restatement=st.builds(
            Restatement,
            at=moments,
            quantity=st.sampled_from([Decimal(10), Decimal("20.5"), Decimal(90)]),
            symbol=st.sampled_from(["AAPL", "META"]),
            limit_price=st.none() | st.just(Decimal("12.50")),
        ),
    ),
    st.builds(CancelRequested, at=moments),
    st.builds(CancelSent, request=numbers, at=moments),
    st.builds(CancelRefused, reason=reasons, request=st.none() | numbers, at=moments),
    st.builds(SubmissionInDoubt, reason=reasons, refusal=st.none() | reasons, at=moments),
    st.builds(SubmissionRefused, reason=reasons, at=moments),
    st.builds(SubmissionGivenUp, reason=reasons, at=moments),
)


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    # The database is shared by the examples on purpose: each uses its own orders.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(st.lists(reports, max_size=4), min_size=1, max_size=REPORTS_MAX // 4))
async def test_the_stored_status_is_always_derived_from_the_facts(
    database: Database, batches: Sequence[Sequence[Report]]
) -> None:
    clerk = Clerk(make_store(database))
    first, second = await clerk.store(2)

    for batch in batches:
        # The venue's ids belong to one order each.
        await clerk.record({first: batch})
    loaded = await clerk.orders.load([first, second])

    rows = await database.fetch("SELECT id, status FROM orders WHERE id = ANY($1)", [first, second])
    assert {row["id"]: row["status"] for row in rows} == {
        order_id: read.order.status.value for order_id, read in loaded.items()
    }
    assert await database.fetch(LATEST_CHANGES) == []
    await database.fetch("DELETE FROM executions")
