"""Pages from the end of a list are read as pages from its start are: by the same indexes, in the other direction."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql
from uuid_utils.compat import uuid7

from db.account_reader import PostgresAccountReader
from db.database import Database, Row
from db.engine import open_database
from db.instrument_catalog import PostgresInstrumentCatalog
from db.operator_actions import PostgresOperatorActions
from db.order_reader import PostgresOrderReader
from db.trading_halts import PostgresTradingHalts
from domain.model.operator_actions import ActionFilter
from domain.model.order_query import OrderFilter, OrderKey, OrderSort, PageRequest
from domain.ports.trading_control import HaltFilter
from tests.support.examples import now

Step = tuple[str, str | None, str | None]
"""The kind of a plan's step, with its index and its table."""
Read = Callable[[Database, PageRequest[Any]], Awaitable[object]]

ORDER_ID = uuid7()


def _orders(
    database: Database,
    request: PageRequest[OrderKey],
    *,
    sort: OrderSort,
    filter: OrderFilter,  # noqa: A002 - the reader's name for it
) -> Awaitable[object]:
    return PostgresOrderReader(database).page(request, sort=sort, filter=filter)


MINE, TWO, ALL = (OrderFilter(account_ids=accounts) for accounts in (("alice",), ("alice", "bob"), None))
LISTS: dict[str, tuple[object, Read]] = {
    **{
        f"orders of {name}, {sort}": (
            OrderKey(at=now(), id=ORDER_ID),
            partial(_orders, sort=sort, filter=asked),
        )
        for sort in OrderSort
        for name, asked in (("one account", MINE), ("two accounts", TWO), ("all accounts", ALL))
        # Operators' list by the last change has no index, from either end.
        if (sort, name) != (OrderSort.UPDATED_DESC, "all accounts")
    },
    "executions": (
        uuid7(),
        lambda database, request: PostgresOrderReader(database).executions(ORDER_ID, request, version=9),
    ),
    "history": (7, lambda database, request: PostgresOrderReader(database).history(ORDER_ID, request, version=9)),
    "instruments": (
        "US0378331005",
        lambda database, request: PostgresInstrumentCatalog(database, cache_seconds=1.0).page(request, search=None),
    ),
    "accounts": ("alice", lambda database, request: PostgresAccountReader(database).page(request, search=None)),
    "halts": (uuid7(), lambda database, request: PostgresTradingHalts(database).page(request, filter=HaltFilter())),
    "actions": (7, lambda database, request: PostgresOperatorActions(database).page(request, filter=ActionFilter())),
}


@pytest.fixture
async def database(own_database_url: str) -> AsyncIterator[Database]:
    """Open a database without a row: where others left some, the statistics of tables choose between its indexes."""
    async with open_database(own_database_url, application_name="test") as opened:
        yield opened


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Executable]:
    """Provide the statements that are run from now on."""
    run: list[Executable] = []
    select = Database.select

    async def recording(self: Database, statement: Executable) -> Sequence[Row]:
        run.append(statement)
        return await select(self, statement)

    monkeypatch.setattr(Database, "select", recording)
    return run


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_from_the_end_is_read_by_the_same_index_as_one_from_the_start(
    name: str, database: Database, own_database_url: str, statements: list[Executable]
) -> None:
    key, read = LISTS[name]
    await read(database, PageRequest(limit=5, after=key))
    forwards, statements[:] = statements[0], []
    await read(database, PageRequest(limit=5, before=key, backwards=True))

    plans = [await _steps(own_database_url, statement) for statement in (forwards, statements[0])]

    assert plans[0] == plans[1]
    assert any(index for _, index, _ in plans[0])
    assert {table for kind, _, table in plans[0] if kind == "Seq Scan"} <= {"venue_gates"}


async def _steps(database_url: str, statement: Executable) -> list[Step]:
    """Return the steps of the statement's plan, as if the tables were too large to be read whole."""
    text = str(
        statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined,no-untyped-call]  # SQLAlchemy's own
    )
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}"))
    finally:
        await connection.close()
    return list(_walk(plan[0]["Plan"]))


def _walk(step: dict[str, Any]) -> Iterator[Step]:
    yield step["Node Type"], step.get("Index Name"), step.get("Relation Name")
    for below in step.get("Plans", ()):
        yield from _walk(below)
