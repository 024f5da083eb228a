"""Recording in the tables: exact sums, and updates that touch no index."""

from decimal import Decimal

from db.database import Database
from tests.support.examples import accepted, filled
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

    # One connection did it all (the pool's first is used again), so its own figures are complete.
    await database.fetch("SELECT pg_stat_force_next_flush()")
    (after,) = await database.fetch(counters)
    updates = after["n_tup_upd"] - before["n_tup_upd"]
    assert updates == 1_000
    assert (after["n_tup_hot_upd"] - before["n_tup_hot_upd"]) / updates >= 0.95
