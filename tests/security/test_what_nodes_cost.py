"""A cheap request must not cause expensive reads: `nodes` of 100 ids is one statement for each kind, and so is a
list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from graphql import parse
from uuid_utils.compat import uuid7

from db.account_limits import PostgresLimitBook
from db.account_reader import PostgresAccountReader
from db.instrument_catalog import PostgresInstrumentCatalog
from db.order_reader import PostgresOrderReader
from db.trading_halts import PostgresTradingHalts
from domain.ports.trading_control import TradingHalt
from graph.auth.bearer import Bearer, Scope
from graph.context import Services, context_for
from graph.documents.cost import cost_operations
from graph.schema.build import build_schema
from graph.schema.global_ids import account_node_id, execution_node_id, halt_node_id, order_node_id
from graph.settings import GraphSettings
from tests.support.api_world import World
from tests.support.counting_database import CountingDatabase, counting_database
from tests.support.examples import filled, now
from tests.support.operators import begin_halt
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

SETTINGS = GraphSettings()
SCHEMA = build_schema(SETTINGS)
NODES = """query ($ids: [ID!]!) { nodes(ids: $ids) { id
    ... on Account { openOrders lastOrderAt tradingHalted limits { setAt } } } }"""
PLAIN_NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
ACCOUNTS = """{ accounts(first: 100) { nodes {
    accountId openOrders lastOrderAt tradingHalted limits { setAt } } } }"""
OPERATOR = Bearer(
    subject="olga",
    account_ids=("olga",),
    scopes=frozenset({Scope.OPERATOR}),
    token_expires_at=datetime.now(UTC) + timedelta(hours=1),
    issued_at=datetime.now(UTC),
)
ORDERS, FILLS = 25, 4


def services(database: CountingDatabase) -> Services:
    """Return the readers of the resolvers, over the real database."""
    behind = World().services()
    book, halts = PostgresLimitBook(database, cache_seconds=5), PostgresTradingHalts(database)
    return replace(
        behind,
        reader=PostgresOrderReader(database),
        accounts=PostgresAccountReader(database),
        catalog=PostgresInstrumentCatalog(database, cache_seconds=5),
        control=replace(behind.control, book=book, halts=halts),
    )


async def read(
    database: CountingDatabase, document: str, variables: Mapping[str, Any] | None = None, *, bearer: Bearer = OPERATOR
) -> tuple[Any, int]:
    """Return the data of the answer, and the number of its statements: never more than the document's cost."""
    before = database.statements
    result = await SCHEMA.execute(document, dict(variables or {}), context_for(bearer, services(database)))
    statements = database.statements - before
    assert result.errors is None
    cost = cost_operations(parse(document), SCHEMA._schema, SETTINGS)[None]  # noqa: SLF001 - Strawberry offers no other way
    assert statements <= cost.objects_with(variables)
    return result.data, statements


async def stored(database: CountingDatabase) -> dict[str, list[str]]:
    """Return the node ids of orders, executions, accounts and a halt."""
    clerk = Clerk(make_store(database))
    accounts = [f"a{number}" for number in range(ORDERS)]
    orders = await clerk.store(ORDERS, accounts=accounts)
    changes = await clerk.record({one: [filled("1", name=f"{one}-{fill}") for fill in range(FILLS)] for one in orders})
    halt_id = uuid7()
    halt = TradingHalt(id=halt_id, account_id="a1", halted_at=now(), halted_by="olga", halt_reason="a test")
    await begin_halt(PostgresTradingHalts(database), halt)
    return {
        "orders": [order_node_id(one) for one in orders],
        "executions": [execution_node_id(one.execution.id) for one in changes if one.execution is not None],
        "accounts": [account_node_id(one) for one in accounts],
        "halts": [halt_node_id(halt_id)],
    }


async def test_nodes_take_one_statement_for_each_kind_for_any_number_of_ids(emptied_database_url: str) -> None:
    async with counting_database(emptied_database_url) as database:
        ids = await stored(database)
        assert len(ids["executions"]) == ORDERS * FILLS == SETTINGS.page_max_rows

        taken: dict[str, int] = {}
        for kind, some in {**ids, "instruments": ["ins_US0378331005", "ins_US5949181045"]}.items():
            data, taken[kind] = await read(database, PLAIN_NODES, {"ids": some})
            if kind != "instruments":
                assert [node["id"] for node in data["nodes"]] == some
        mixed = [*ids["executions"][:40], *ids["orders"], *ids["accounts"], *ids["halts"], "ins_US0378331005", "x"]
        _, of_all = await read(database, PLAIN_NODES, {"ids": mixed})

    assert taken == dict.fromkeys(("orders", "executions", "accounts", "halts", "instruments"), 1)
    assert of_all == 5


@pytest.mark.parametrize("visible", [("a3",), ("a3", "a4"), ("nobody",)])
async def test_nodes_of_executions_show_those_of_the_tokens_accounts_and_no_other(
    emptied_database_url: str, visible: Sequence[str]
) -> None:
    async with counting_database(emptied_database_url) as database:
        ids = await stored(database)
        bearer = replace(OPERATOR, account_ids=tuple(visible), scopes=frozenset({Scope.READ}))

        data, statements = await read(database, PLAIN_NODES, {"ids": ids["executions"]}, bearer=bearer)

    assert sum(node is not None for node in data["nodes"]) == FILLS * len([one for one in visible if one[0] == "a"])
    assert statements == 1


async def test_what_hangs_on_accounts_takes_one_statement_for_each_field_of_all_of_them(
    emptied_database_url: str,
) -> None:
    async with counting_database(emptied_database_url) as database:
        ids = await stored(database)

        listed, of_list = await read(database, ACCOUNTS)
        found, of_nodes = await read(database, NODES, {"ids": ids["accounts"]})
        own, of_own = await read(
            database,
            "{ viewer { accounts { accountId openOrders lastOrderAt tradingHalted limits { setAt } } } }",
            bearer=replace(OPERATOR, account_ids=tuple(f"a{number}" for number in range(ORDERS))),
        )

    assert (of_list, of_nodes, of_own) == (5, 5, 4)
    assert len(listed["accounts"]["nodes"]) == len(found["nodes"]) == len(own["viewer"]["accounts"]) == ORDERS
    shown = {one.pop("accountId"): one for one in listed["accounts"]["nodes"]}
    assert shown == {one.pop("accountId"): one for one in own["viewer"]["accounts"]}
    assert {name for name, one in shown.items() if one["tradingHalted"]} == {"a1"}
    assert {one["openOrders"] for one in shown.values()} == {1}
    assert all(one["lastOrderAt"] for one in shown.values())
