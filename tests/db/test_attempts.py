"""How an attempt's end is stored, with any error text of the venue."""

from datetime import timedelta

from db.database import Database
from db.order_store import PostgresOrderStore
from domain.ports.order_store import AttemptEnd
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)


async def test_an_attempt_that_failed_is_due_again_and_may_be_uncounted(
    store: PostgresOrderStore, clerk: Clerk, database: Database
) -> None:
    (order_id,) = await clerk.store(1)
    (claim,) = await store.claim([order_id], lease=LEASE)
    end = AttemptEnd(
        attempt=claim.loaded.attempt,
        error="429\x00",
        counts=False,
        may_have_been_sent=False,
        next_in=timedelta(seconds=7),
    )

    assert not await store.write(await clerk.decide({order_id: []}, attempt_end=end))

    (row,) = await database.fetch("SELECT *, submit_due_at - now() AS due_in FROM orders")
    assert timedelta(seconds=4) < row["due_in"] <= timedelta(seconds=7)
    assert (row["attempt"], row["attempts"], row["last_error"]) == (1, 0, "429\ufffd")
    assert (row["lease_until"], row["maybe_sent_at"]) == (None, None)
