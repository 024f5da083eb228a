"""Recording in the tables: exact sums, and updates that touch no index."""

from decimal import Decimal
from uuid import UUID

from db.database import Database
from domain.model.order import End
from domain.model.reports import Report
from tests.support.examples import accepted, ended, filled, refused
from tests.support.store_driver import Clerk


async def test_sums_of_many_tiny_fills_are_exact(clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1, quantity="1")
    tiny = [
        filled("0.000000000000000001", name=f"e-{number}", price="123456789.000000000000000001")
        for number in range(300)
    ]

    recorded = await clerk.record({order_id: tiny})

    assert recorded[-1].order.filled_quantity == Decimal("0.000000000000000300")
    assert recorded[-1].order.notional == 300 * Decimal("0.000000000000000001") * Decimal(
        "123456789.000000000000000001"
    )


async def test_fills_are_heap_only_updates(clerk: Clerk, database: Database) -> None:
    ids = await clerk.store(40, quantity="1000000")
    await clerk.record({order_id: [accepted(venue_order_id=f"v-{order_id}")] for order_id in ids})
    counters = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'orders'"
    await database.fetch("SELECT pg_stat_force_next_flush()")
    (before,) = await database.fetch(counters)

    for number in range(25):
        await clerk.record({order_id: [filled("10", name=f"{order_id}-{number}")] for order_id in ids})

    # One connection did everything (the pool reuses its first), so its own statistics are complete.
    await database.fetch("SELECT pg_stat_force_next_flush()")
    (after,) = await database.fetch(counters)
    updates = after["n_tup_upd"] - before["n_tup_upd"]
    assert updates == 1_000
    assert (after["n_tup_hot_upd"] - before["n_tup_hot_upd"]) / updates >= 0.95


async def test_open_orders_are_counted_through_refusals_and_revivals(clerk: Clerk, database: Database) -> None:
    async def counted() -> int:
        (row,) = await database.fetch("SELECT open_orders FROM accounts WHERE id = 'alice'")
        open_orders: int = row["open_orders"]
        return open_orders

    seen, ended_at_once = await clerk.store(2)
    counts = [await counted()]
    batches: list[dict[UUID, list[Report]]] = [
        {seen: [refused()], ended_at_once: [refused()]},
        {seen: [accepted()]},
        {seen: [ended(End.CANCELED)]},
        {ended_at_once: [filled("1", name="e-2"), ended(End.EXPIRED)]},
    ]
    for reports in batches:
        await clerk.record(reports)
        counts.append(await counted())

    assert counts == [2, 0, 1, 0, 0]
