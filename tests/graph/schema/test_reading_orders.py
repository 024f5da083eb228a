"""Reading: one order by its ids, and what hangs on it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api_instruments import APPLE, SAP
from tests.support.api_server import Api, token
from tests.support.examples import accepted, filled, restated
from tests.support.graphql_orders import key_of, limit_order, place, placed_id


async def test_an_order_shows_its_terms_and_its_state_in_full(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted(), filled("4", price="150.2"))

    document = """query ($id: ID!) { order(id: $id) {
        id accountId clientOrderId side type timeInForce quantity limitPrice status isFinal filledQuantity
        leavesQuantity averagePrice reason { code } venueOrderId version createdAt
        instrument { id isin symbol name currency tickSize lotSize tradable }
        placement { attempts maxAttempts lastAttemptAt nextAttemptAt lastError }
    } }"""
    order = (await api.data(document, {"id": order_id}))["order"]

    created_at = order.pop("createdAt")
    assert created_at.startswith("2026-11-20T12:00:00.")
    assert created_at.endswith("Z")
    assert len(created_at) == len("2026-11-20T12:00:00.123456Z")
    assert order == {
        "id": order_id,
        "accountId": "alice",
        "clientOrderId": "one",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "DAY",
        "quantity": "10",
        "limitPrice": "150.25",
        "status": "PARTIALLY_FILLED",
        "isFinal": False,
        "filledQuantity": "4",
        "leavesQuantity": "6",
        "averagePrice": "150.2",
        "reason": None,
        "venueOrderId": "V1",
        "version": 3,
        "instrument": {
            "id": "ins_US0378331005",
            "isin": "US0378331005",
            "symbol": "AAPL",
            "name": "Apple Inc.",
            "currency": "USD",
            "tickSize": "0.01",
            "lotSize": "1",
            "tradable": True,
        },
        "placement": {
            "attempts": 0,
            "maxAttempts": 5,
            "lastAttemptAt": None,
            "nextAttemptAt": None,
            "lastError": None,
        },
    }


async def test_a_restated_order_has_its_current_and_its_original_terms(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted(), filled("4"), restated("40", limit_price="37.5"))

    document = """query ($id: ID!) { order(id: $id) {
        quantity originalQuantity limitPrice leavesQuantity status history { nodes { kind } }
    } }"""
    order = (await api.data(document, {"id": order_id}))["order"]

    kinds = [change["kind"] for change in order.pop("history")["nodes"]]
    assert kinds == ["RECEIVED", "PLACED", "FILL", "RESTATED"]
    assert order == {
        "quantity": "40",
        "originalQuantity": "10",
        "limitPrice": "37.5",
        "leavesQuantity": "36",
        "status": "PARTIALLY_FILLED",
    }


async def test_a_repeat_of_place_order_finds_the_order_that_the_venue_restated(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted(), restated("40", symbol="META", limit_price="37.5"))

    answer = await place(api, limit_order())

    assert (answer["replayed"], answer["order"]["id"]) == (True, order_id)


async def test_an_order_is_found_by_its_client_order_id(api: Api) -> None:
    order_id = await placed_id(api, "mine")
    document = "query ($name: String!) { orderByClientOrderId(clientOrderId: $name) { id } }"

    assert (await api.data(document, {"name": "mine"}))["orderByClientOrderId"] == {"id": order_id}
    for unknown in ("other", "", "x" * 10_000, "a\0b"):
        assert (await api.data(document, {"name": unknown}))["orderByClientOrderId"] is None


async def test_nodes_of_every_kind_are_found_in_the_requested_order(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), filled("4"))
    executions = "query ($id: ID!) { order(id: $id) { executions { nodes { id } } } }"
    (execution,) = (await api.data(executions, {"id": order_id}))["order"]["executions"]["nodes"]
    document = """query ($ids: [ID!]!) { nodes(ids: $ids) {
        __typename id ... on Order { status } ... on Execution { quantity } ... on Instrument { symbol }
    } }"""

    ids = ["ins_US0378331005", "nonsense", order_id, execution["id"], order_id]
    nodes = (await api.data(document, {"ids": ids}))["nodes"]

    assert nodes == [
        {"__typename": "Instrument", "id": "ins_US0378331005", "symbol": "AAPL"},
        None,
        {"__typename": "Order", "id": order_id, "status": "PARTIALLY_FILLED"},
        {"__typename": "Execution", "id": execution["id"], "quantity": "4"},
        {"__typename": "Order", "id": order_id, "status": "PARTIALLY_FILLED"},
    ]


@pytest.mark.parametrize(
    "node_id",
    [
        "",
        "ord_",
        "ord_" + "0" * 32,
        "ORD_" + "0" * 32,
        "ord_" + "g" * 32,
        "exe_" + "0" * 32,
        "ins_US0378331006",
        "x" * 10_000,
    ],
)
async def test_an_id_of_nothing_finds_nothing(api: Api, node_id: str) -> None:
    document = "query ($id: ID!) { node(id: $id) { id } order(id: $id) { id } nodes(ids: [$id]) { id } }"

    assert await api.data(document, {"id": node_id}) == {"node": None, "order": None, "nodes": [None]}


async def test_no_more_than_a_hundred_nodes_are_looked_up_at_a_time(api: Api) -> None:
    error = await api.error("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * 101})

    assert error["extensions"]["code"] == "PAGE_TOO_LARGE"


async def test_the_instruments_of_a_page_are_read_in_one_batch(api: Api) -> None:
    for number in range(3):
        await placed_id(api, str(number))
    await place(api, limit_order("other", isin=SAP.isin))

    await api.data("{ orders { nodes { instrument { symbol } } } }")

    assert api.world.catalog.batches == [frozenset({APPLE.isin, SAP.isin})]


async def test_the_history_lists_every_change_from_the_oldest(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted(), filled("4"), filled("6", name="fill-2"))
    document = """query ($id: ID!, $after: String) { order(id: $id) {
        history(first: 2, after: $after) {
            edges { cursor node { kind version status filledQuantity averagePrice execution { id quantity } } }
            pageInfo { hasNextPage endCursor }
        }
        executions(first: 1) { nodes { id quantity price executedAt receivedAt } pageInfo { hasNextPage endCursor } }
    } }"""

    first = (await api.data(document, {"id": order_id}))["order"]
    rest = (await api.data(document, {"id": order_id, "after": first["history"]["pageInfo"]["endCursor"]}))["order"]

    changes = [edge["node"] for edge in first["history"]["edges"] + rest["history"]["edges"]]
    assert [(change["kind"], change["version"], change["status"]) for change in changes] == [
        ("RECEIVED", 1, "PENDING"),
        ("PLACED", 2, "PLACED"),
        ("FILL", 3, "PARTIALLY_FILLED"),
        ("FILL", 4, "FILLED"),
    ]
    assert changes[2]["execution"]["id"] == first["executions"]["nodes"][0]["id"]
    assert first["executions"]["pageInfo"]["hasNextPage"] is True
    assert rest["history"]["pageInfo"]["hasNextPage"] is False


async def test_instruments_are_searched_by_the_start_of_isin_symbol_or_name(api: Api) -> None:
    document = """query ($search: String, $first: Int, $after: String) {
        instruments(search: $search, first: $first, after: $after) { nodes { symbol } pageInfo { endCursor } }
    }"""

    async def found(**arguments: object) -> list[str]:
        return [node["symbol"] for node in (await api.data(document, arguments))["instruments"]["nodes"]]

    assert await found() == ["SAP", "AAPL", "MSFT"]
    assert await found(search="micro") == ["MSFT"]
    assert await found(search="US03") == ["AAPL"]
    first = (await api.data(document, {"first": 1}))["instruments"]
    assert await found(first=5, after=first["pageInfo"]["endCursor"]) == ["AAPL", "MSFT"]
    assert (await api.error(document, {"search": "a\0b"}))["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_instrument_is_found_by_its_isin(api: Api) -> None:
    document = "query ($isin: ISIN!) { instrument(isin: $isin) { symbol } }"

    assert (await api.data(document, {"isin": SAP.isin}))["instrument"] == {"symbol": "SAP"}
    assert (await api.data(document, {"isin": "US88160R1014"}))["instrument"] is None
    assert (await api.error(document, {"isin": "US0378331006"}))["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_viewer_sees_the_token(api: Api) -> None:
    document = "{ viewer { accountId scopes tokenExpiresAt } }"
    expires_at = datetime.now(UTC).replace(microsecond=250_000) + timedelta(minutes=5)
    bearer = token("carol", scopes=["orders:read"], exp=expires_at.timestamp())

    viewer = (await api.data(document, bearer=bearer))["viewer"]

    assert viewer == {
        "accountId": "carol",
        "scopes": ["orders:read"],
        "tokenExpiresAt": expires_at.strftime("%Y-%m-%dT%H:%M:%S.250000Z"),
    }
