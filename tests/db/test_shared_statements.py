"""Concurrent writes and reads share a statement, and none of them makes another fail."""

import asyncio
from collections.abc import Sequence

from uuid_utils.compat import uuid7

from db.order_reader import PostgresOrderReader
from db.trading_halts import PostgresTradingHalts
from domain.model.order import VenueRank
from domain.ports.order_store import LoadedOrder, OrderStore
from domain.ports.trading_control import TradingHalt
from domain.services.decision import Decision
from domain.services.order_decider import Decided
from domain.services.recording import Recording
from tests.support.counting_database import counting_database
from tests.support.examples import accepted, filled, new_order, now
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.operators import begin_halt
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

ORDERS = 50


async def test_orders_decided_at_the_same_time_share_a_statement(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        recording = _recording(make_store(database))
        rows = await _stored(recording)
        before = database.statements

        decided = await _accept(recording, rows)

    assert [[change.order.id for change in one.changes] for one in decided] == [[row.order.id] for row in rows]
    assert database.statements - before == 1


async def test_attempts_that_look_for_a_halt_at_the_same_time_share_a_read(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        halts = PostgresTradingHalts(database)
        await begin_halt(
            halts, TradingHalt(id=uuid7(), account_id="bob", halted_at=now(), halted_by="op", halt_reason="fat")
        )
        before = database.statements

        looks = await asyncio.gather(*(halts.is_halted(account) for account in ("alice", "bob", "alice", "carol")))

    assert looks == [False, True, False, False]
    assert database.statements - before == 1


async def test_orders_looked_up_by_their_clients_ids_at_the_same_time_share_a_read(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        store, reader = make_store(database), PostgresOrderReader(database)
        for account_id in ("alice", "bob"):
            await store.store(new_order(account_id=account_id, client_order_id=f"of-{account_id}"))
        before = database.statements

        found = await asyncio.gather(
            *(
                reader.by_client_order_id(f"of-{whose}", account_id=account_id)
                for whose, account_id in (("alice", "alice"), ("bob", "bob"), ("alice", "bob"), ("alice", "alice"))
            )
        )

    assert [order and order.account_id for order in found] == ["alice", "bob", None, "alice"]
    assert database.statements - before == 1


async def test_orders_read_at_the_same_time_share_a_read_and_each_is_shown_to_its_own_account_only(
    emptied_database_url: str,
) -> None:
    async with counting_database(emptied_database_url) as database:
        reader = PostgresOrderReader(database)
        of_alice, of_bob = await Clerk(make_store(database)).store(2, accounts=["alice", "bob"])
        before = database.statements

        found = await asyncio.gather(
            *(
                reader.order(order_id, account_ids=account_ids)
                for order_id in (of_alice, of_bob, uuid7())
                for account_ids in (("alice",), ("bob", "carol"), None)
            )
        )

    seen = [order and order.id for order in found]
    assert seen == [of_alice, None, of_alice, None, of_bob, of_bob, None, None, None]
    assert database.statements - before == 1


async def test_all_are_decided_again_together_when_another_writer_changed_one(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        recording = _recording(make_store(database))
        rows = await _stored(recording)
        stale = rows[ORDERS // 2].order
        await recording.record({stale.venue_client_order_id: [filled("1")]})
        before = database.statements

        decided = await _accept(recording, rows)

    assert [one.row.order.id for one in decided if one.decision is None] == [stale.id]
    assert database.statements - before == 3  # In vain, the read, and the write.


async def test_two_decisions_about_one_order_are_written_one_after_the_other(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        recording = _recording(make_store(database))
        rows = await _stored(recording)

        decided = await _accept(recording, [*rows, rows[0]])

    assert [one.row.order.id for one in decided if one.decision is None] == [rows[0].order.id]


def _recording(orders: OrderStore) -> Recording:
    return Recording(
        orders=orders,
        publisher=RecordingPublisher(),
        wake_ups=RecordingWakeUps(),
        telemetry=RecordingTelemetry(),
        clock=now,
        new_id=uuid7,
    )


async def _stored(recording: Recording) -> Sequence[LoadedOrder]:
    ids = await Clerk(recording.orders).store(ORDERS, accounts=("alice", "bob", "carol"))
    rows = await recording.orders.load(ids)
    return [rows[order_id] for order_id in ids]


async def _accept(recording: Recording, rows: Sequence[LoadedOrder]) -> Sequence[Decided]:
    """Decide on all of them at the same time, unless the venue has shown the order already."""

    def decide(row: LoadedOrder) -> Decision | None:
        order = row.order
        if order.facts.rank > VenueRank.NONE:
            return None
        return recording.decide(row, [accepted(venue_order_id=f"v-{order.id}")])

    return await asyncio.gather(*(recording.decide_and_commit(row, decide) for row in rows))
