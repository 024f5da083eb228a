"""Requests of operators that this release cannot read."""

from datetime import timedelta

from db.database import Database
from db.resolutions import UNREADABLE, PostgresResolutions
from domain.model.resolutions import Reread
from tests.support.resolving import asked
from tests.support.store_driver import Clerk


async def test_a_request_that_cannot_be_read_is_refused_and_keeps_no_other_from_being_taken(
    database: Database, clerk: Clerk
) -> None:
    resolutions = PostgresResolutions(database)
    order_ids = await clerk.store(4)
    stored = [await resolutions.add(asked(order_id, Reread())) for order_id in order_ids]
    for one, change in zip(stored, ("action = 'LATER'", "arguments = '{'", "action = 'ORDER_ENDED'"), strict=False):
        await database.fetch(f"UPDATE resolutions SET {change} WHERE id = $1", one.id)  # noqa: S608 - our own text

    taken = await resolutions.take(limit=9, lease=timedelta(0))

    assert [one.id for one in taken] == [stored[3].id]
    refused = await database.fetch("SELECT id FROM resolutions WHERE refusal = $1", UNREADABLE)
    assert {row["id"] for row in refused} == {one.id for one in stored[:3]}
