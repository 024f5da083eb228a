"""Reports that ingest could not read are stored."""

from db.database import Database
from db.dead_letters import PostgresDeadLetters


async def test_identical_dead_letters_are_stored_once_with_a_count(database: Database) -> None:
    letters = PostgresDeadLetters(database)

    for _ in range(3):
        await letters.add(source="stream", error="no order id", raw=b"\x00\xff{")
    await letters.add(source="rest", error="no order id", raw=b"\x00\xff{")

    rows = await database.fetch("SELECT source, raw, count FROM dead_letters ORDER BY count")
    assert [(row["source"], row["raw"], row["count"]) for row in rows] == [
        ("rest", b"\x00\xff{", 1),
        ("stream", b"\x00\xff{", 3),
    ]


async def test_of_a_huge_dead_letter_the_beginning_is_stored(database: Database) -> None:
    await PostgresDeadLetters(database).add(source="s" * 500, error="e\x00" * 5_000, raw=b"x" * 3_000_000)

    (row,) = await database.fetch("SELECT octet_length(raw) AS length FROM dead_letters")
    assert row["length"] == 1_048_576
