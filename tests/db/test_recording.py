"""Recording: everything or nothing, against fences and versions, exactly."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from db.database import Database
from db.order_store import PostgresOrderStore
from domain.changes import ChangeKind
from domain.errors import ExecutionIdTaken, StaleWrite
from domain.executions import Trade
from domain.order import End, VenueRank
from domain.ports import ExecutionKey, OrderWrite
from domain.reports import CancelAsked, CancelSent, ExecutionBusted, ExecutionCorrected, PlacementBecameUnknown
from domain.values import Reason, ReasonSource
from tests.db.desk import Desk, accepted, ended, fill, now

LEASE = timedelta(seconds=30)
ACCOUNT_ASKED = Reason(source=ReasonSource.ACCOUNT, code="CANCEL_REQUESTED", message="Canceled before it was sent.")


async def test_what_was_written_is_read_back_as_it_was(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    writes = await desk.decide(
        {
            order_id: [
                accepted(),
                fill("e-1"),
                CancelAsked(at=now()),
                CancelSent(request=1, at=now()),
                ended(End.EXPIRED),
            ]
        }
    )

    await store.write(writes)

    loaded = (
        await store.load(
            [order_id], [ExecutionKey(order_id=order_id, venue_execution_id="e-1", cumulative_quantity=None)]
        )
    )[order_id]
    assert loaded.order == writes[0].order
    assert loaded.executions == tuple(writes[0].executions)


async def test_changes_come_back_in_order_with_their_places_in_each_account(
    store: PostgresOrderStore, desk: Desk
) -> None:
    ids = await desk.accept(4, accounts=("b", "a"))
    writes = await desk.decide({order_id: [accepted(f"v-{order_id}"), fill(f"e-{order_id}")] for order_id in ids})

    recorded = await store.write(writes)

    assert [change.kind for change in recorded] == [ChangeKind.PLACED, ChangeKind.FILL] * 4
    places = {account: [one.sequence for one in recorded if one.order.account_id == account] for account in "ab"}
    assert places == {"a": [3, 4, 5, 6], "b": [3, 4, 5, 6]}
    assert [change.order.version for change in recorded] == [2, 3] * 4
    assert recorded[1].execution is not None
    assert recorded[1].execution.quantity == 10


async def test_one_stale_order_among_many_and_nothing_at_all_is_written(
    store: PostgresOrderStore, desk: Desk, database: Database
) -> None:
    ids = await desk.accept(50, accounts=("a", "b", "c"))
    writes = await desk.decide({order_id: [fill(f"e-{order_id}")] for order_id in ids})
    await desk.record({ids[31]: [accepted()]})

    with pytest.raises(StaleWrite):
        await store.write(writes)

    assert (await database.fetch("SELECT count(*) AS n FROM executions"))[0]["n"] == 0
    assert (await database.fetch("SELECT count(*) AS n FROM order_changes"))[0]["n"] == 51
    assert (await database.fetch("SELECT sum(sequence) AS n FROM accounts"))[0]["n"] == 51
    assert {one.order.version for one in (await store.load(ids, [])).values()} == {1, 2}


async def test_an_unknown_order_makes_a_write_stale(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    (write,) = await desk.decide({order_id: [accepted()]})

    with pytest.raises(StaleWrite):
        await store.write([replace(write, order=replace(write.order, id=uuid7()), changes=())])


@pytest.mark.parametrize(
    "quietly",
    [
        (ended(End.CANCELED),),
        (CancelSent(request=3, at=now()),),
        (PlacementBecameUnknown(reason=ACCOUNT_ASKED, at=now()),),
    ],
    ids=["another end", "a sent request", "an unknown outcome"],
)
async def test_a_fact_that_came_without_a_version_makes_an_older_decision_stale(
    store: PostgresOrderStore, desk: Desk, quietly: tuple[CancelSent]
) -> None:
    (order_id,) = await desk.accept(1)
    await desk.record({order_id: [accepted(), fill("e-1", "100")]})
    late = await desk.decide({order_id: [ExecutionBusted(venue_execution_id="e-1", at=now())]})
    assert await desk.record({order_id: quietly}) == []

    with pytest.raises(StaleWrite):
        await store.write(late)


async def test_an_amendment_that_changed_nothing_visible_is_not_lost_to_an_older_decision(
    store: PostgresOrderStore, desk: Desk
) -> None:
    (order_id,) = await desk.accept(1)
    await desk.record({order_id: [accepted(rank=VenueRank.WORKING)]})
    late = await desk.decide({order_id: [fill("e-1")]})
    assert await desk.record({order_id: [ExecutionBusted(venue_execution_id="e-1", at=now())]}) == []

    with pytest.raises(StaleWrite):
        await store.write(late)

    assert await desk.record({order_id: [fill("e-1")]}) == []
    assert (await store.load([order_id], []))[order_id].order.facts.filled_quantity == 0


async def test_a_correction_replaces_what_an_execution_counts(desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    await desk.record({order_id: [fill("e-1", "10", "5")]})
    correction = ExecutionCorrected(
        venue_execution_id="e-1", trade=Trade(quantity=Decimal(8), price=Decimal("5.5")), at=now()
    )

    (change,) = await desk.record({order_id: [correction]})

    assert change.kind is ChangeKind.CORRECTED
    assert change.order.filled_quantity == Decimal(8)
    assert change.order.notional == Decimal(44)


async def test_an_execution_of_another_order_is_named_and_nothing_is_written(
    store: PostgresOrderStore, desk: Desk
) -> None:
    mine, theirs = await desk.accept(2, accounts=("a", "b"))
    await desk.record({theirs: [fill("e-1")]})

    with pytest.raises(ExecutionIdTaken) as caught:
        await desk.record({mine: [fill("e-1"), fill("e-2")]})

    assert caught.value.owners == {"e-1": theirs}
    assert (await store.load([mine], []))[mine].order.version == 1


async def test_one_execution_for_two_orders_of_a_batch_is_refused(desk: Desk) -> None:
    mine, theirs = await desk.accept(2)

    with pytest.raises(ExecutionIdTaken):
        await desk.record({mine: [fill("e-1")], theirs: [fill("e-1")]})


async def test_executions_are_found_by_their_id_and_by_their_cumulative_quantity(
    store: PostgresOrderStore, desk: Desk
) -> None:
    (order_id, other) = await desk.accept(2)
    await desk.record({order_id: [fill("e-1", cumulative_quantity=Decimal(10)), fill("e-2"), fill("e-3")]})

    loaded = await store.load(
        [order_id, uuid7()],
        [
            ExecutionKey(order_id=order_id, venue_execution_id="by-rest", cumulative_quantity=Decimal("10.0")),
            ExecutionKey(order_id=order_id, venue_execution_id="e-2", cumulative_quantity=None),
            ExecutionKey(order_id=other, venue_execution_id="e-3", cumulative_quantity=None),
        ],
    )

    assert list(loaded) == [order_id]
    assert {execution.venue_execution_id for execution in loaded[order_id].executions} == {"e-1", "e-2"}


async def test_sums_of_many_tiny_fills_are_exact(desk: Desk) -> None:
    (order_id,) = await desk.accept(1, quantity="1")
    tiny = [fill(f"e-{number}", "0.000000000000000001", "123456789.000000000000000001") for number in range(300)]

    recorded = await desk.record({order_id: tiny})

    assert recorded[-1].order.filled_quantity == Decimal("0.000000000000000300")
    assert recorded[-1].order.notional == 300 * Decimal("0.000000000000000001") * Decimal(
        "123456789.000000000000000001"
    )


async def test_fills_are_heap_only_updates(desk: Desk, database: Database) -> None:
    ids = await desk.accept(40, quantity="1000000")
    await desk.record({order_id: [accepted(f"v-{order_id}", VenueRank.WORKING)] for order_id in ids})
    counters = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'orders'"
    await database.fetch("SELECT pg_stat_force_next_flush()")
    (before,) = await database.fetch(counters)

    for number in range(25):
        await desk.record({order_id: [fill(f"{order_id}-{number}")] for order_id in ids})

    # One connection did it all (the pool's first is used again), so its own figures are complete.
    await database.fetch("SELECT pg_stat_force_next_flush()")
    (after,) = await database.fetch(counters)
    updates = after["n_tup_upd"] - before["n_tup_upd"]
    assert updates == 1_000
    assert (after["n_tup_hot_upd"] - before["n_tup_hot_upd"]) / updates >= 0.95


async def test_an_order_cannot_be_written_twice_in_one_batch(store: PostgresOrderStore, desk: Desk) -> None:
    (order_id,) = await desk.accept(1)
    (write,) = await desk.decide({order_id: [accepted()]})

    with pytest.raises(ValueError, match="only once"):
        await store.write([write, OrderWrite(order=write.order, read_version=1)])
