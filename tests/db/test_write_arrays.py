"""Columns sent to PostgreSQL as texts of arrays are read back unchanged, with any values of a venue."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg.pgproto import pgproto
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from db.array_literals import moment_array, plain_array, text_array
from db.database import Database
from domain.model.order import End, VenueRank
from domain.model.values import EXACT, Reason, ReasonSource
from tests.support.examples import accepted, ended, filled
from tests.support.store_driver import Clerk

CASES = 100
ROWS_MAX = 5
KINDS = ("uuid", "numeric", "timestamptz", "int", "text", "smallint", "bool")
NAMES = ("id", "number", "moment", "count", "source", "rank", "truth", "text", "other_text")
COLUMNS = ", ".join(f"${number}::text::{kind}[]" for number, kind in enumerate((*KINDS, "text", "text"), 1))
READ_BACK = f"""
SELECT * FROM unnest({COLUMNS}) AS r ({", ".join(NAMES)})
"""  # noqa: S608 - our own names of types

TRICKY = (
    "", " ", "NULL", "null", '"', "\\", '\\"', "{", "}", ",", '","', "{}", "\n", "\t", "\r\n", "'", "''", "$1", "--",
    ";", '"}\'::text[]) --', "'); DROP TABLE orders; --", '",NULL,"', "a b", " led", "trailed ", "\u00a0", "\u2028",
    "\\x00",
    "\\", "\\\\", "é", "😀", "\x01", "\x7f", "{a,b}",
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(TRICKY),
    st.lists(st.sampled_from(TRICKY), max_size=4).map("".join),
    # Characters that PostgreSQL cannot store are removed before (`storable`), or the whole write is refused.
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20),
)
numbers = st.builds(
    lambda units, places: Decimal(units).scaleb(-places), st.integers(-(10**18), 10**18), st.integers(0, 18)
) | st.integers(-(10**36) + 1, 10**36 - 1).map(lambda units: EXACT.scaleb(Decimal(units), -18))
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11, minutes=30))])
moments = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 - aware by the zones
ids = st.uuids() | st.uuids().map(lambda one: pgproto.UUID(one.bytes)) | st.builds(uuid7)


def perhaps(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Generate the values, sometimes None."""
    return st.none() | values


row = st.tuples(
    ids,
    perhaps(numbers),
    perhaps(moments),
    perhaps(st.integers(-(2**31), 2**31 - 1)),
    perhaps(st.sampled_from(ReasonSource)),
    perhaps(st.sampled_from(VenueRank)),
    perhaps(st.booleans()),
    perhaps(texts),
    texts,
)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Generate rows, of which some columns may contain only one value, or only None."""
    made = draw(st.lists(row, min_size=1, max_size=ROWS_MAX))
    first = made[0]
    same = draw(st.sets(st.integers(1, len(first) - 1)))
    empty = draw(st.sets(st.integers(1, len(first) - 1)))
    return [
        tuple(
            None if place in empty else first[place] if place in same else value for place, value in enumerate(values)
        )
        for values in made
    ]


def as_columns(rows: Sequence[tuple[Any, ...]]) -> Sequence[str]:
    """Return the rows' columns: first those whose values need no quotes, then texts."""
    columns = list(zip(*rows, strict=True)) or [()] * len(NAMES)
    plain = [
        moment_array(list(column)) if kind == "timestamptz" else plain_array(column)
        for kind, column in zip(KINDS, columns, strict=False)
    ]
    return [*plain, *map(text_array, columns[len(KINDS) :])]


@settings(
    max_examples=CASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # Nothing is written, so no table needs emptying.
)
@given(rows=rows())
@example(rows=[(UUID(int=0), *[None] * 8)])
@example(rows=[(UUID(int=number), *[None] * 6, text, text) for number, text in enumerate(TRICKY)])
@example(rows=[(UUID(int=1), Decimal("1E-18"), *[None] * 7), (UUID(int=2), Decimal("1.0"), *[None] * 7)])
@example(rows=[(UUID(int=1), Decimal("1.00"), *[None] * 7), (UUID(int=2), Decimal("1.0"), *[None] * 7)])
@example(rows=[(UUID(int=1), Decimal("1E+3"), *[None] * 7), (UUID(int=2), Decimal("-0E-18"), *[None] * 7)])
async def test_any_value_is_read_back_unchanged(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    found = await database.fetch(READ_BACK, *as_columns(rows))

    assert [tuple(one[name] for name in NAMES) for one in found] == rows
    # Equality is not enough: 1.0 equals 1.00, and the stored form is shown to people.
    assert [_digits(one["number"]) for one in found] == [_digits(values[1]) for values in rows]


async def test_no_rows_are_no_rows(database: Database) -> None:
    assert await database.fetch(READ_BACK, *as_columns([])) == []


def _digits(number: Decimal | None) -> str | None:
    """Return the number in full digits; PostgreSQL has neither exponents nor a negative zero."""
    return None if number is None else format(abs(number) if number == 0 else number, "f")


@settings(max_examples=CASES // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(texts, min_size=5, max_size=5))
@example(texts=["'}'; DROP TABLE orders; --", '"}"', "NULL", "\\", '",NULL,"'])
async def test_texts_of_a_venue_are_stored_unchanged(clerk: Clerk, database: Database, texts: Sequence[str]) -> None:
    # Ids are never empty, and each execution has its own.
    venue_order_id, name, other_name = texts[0] or "V", f"1{texts[1]}", f"2{texts[2]}"
    reason = Reason(source=ReasonSource.VENUE, code=texts[3] or "C", message=texts[4])
    await database.fetch("DELETE FROM executions")
    (order_id,) = await clerk.store(1)
    recorded = await clerk.record(
        {
            order_id: [
                accepted(venue_order_id=venue_order_id),
                filled("1", name=name, cumulative="1"),
                filled("2", name=other_name, cumulative="3"),
                ended(End.CANCELED, reason=reason),
            ]
        }
    )

    stored = (await clerk.orders.load([order_id]))[order_id].order
    executions = await database.fetch("SELECT * FROM executions WHERE order_id = $1 ORDER BY 1", order_id)
    changes = await database.fetch("SELECT * FROM order_changes WHERE order_id = $1 ORDER BY version", order_id)
    assert stored.facts.venue_order_id == venue_order_id
    assert stored.facts.end_reasons == {End.CANCELED: reason}
    assert {one["venue_execution_id"] for one in executions} == {name, other_name}
    assert {one["venue_order_id"] for one in changes[1:]} == {venue_order_id}
    assert (changes[-1]["reason_code"], changes[-1]["reason_message"]) == (reason.code, reason.message)
    assert recorded[-1].order.reason == reason
