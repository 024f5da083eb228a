"""A token that names several accounts acts only for these, and names the account where needed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.model.audit_chain import ChainHead, account_genesis
from graph.settings import GraphSettings
from tests.support.api_server import ALL_SCOPES, Api, Json, running_api, token
from tests.support.api_world import World
from tests.support.graphql_orders import limit_order

PLACE = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) {
    ... on PlaceOrderSuccess { replayed order { id accountId } } ... on UserError { code } } }"""
CANCEL = """mutation ($id: ID!) { cancelOrder(input: { orderId: $id }) {
    ... on CancelOrderSuccess { order { accountId status } } ... on UserError { code } } }"""
FIND = """query ($name: String!, $account: ID) {
    orderByClientOrderId(clientOrderId: $name, accountId: $account) { accountId } }"""
LIST = "query ($account: ID) { orders(filter: { accountId: $account }, sort: CREATED_ASC) { nodes { accountId } } }"
UPDATES = "subscription ($account: ID) { orderUpdates(accountId: $account) { kind order { accountId } } }"
WITHOUT_ACCOUNT = {
    "orderByClientOrderId": '{ orderByClientOrderId(clientOrderId: "one") { id } }',
    "viewer.accountId": "{ viewer { accountId } }",
    "viewer.limits": "{ viewer { limits { setAt } } }",
    "viewer.openOrders": "{ viewer { openOrders } }",
    "viewer.tradingHalted": "{ viewer { tradingHalted } }",
}
BOTH = ("alice", "bob")


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Api]:
    """Run a server that reads the accounts in the claim `accounts`."""
    async with running_api(World(account_claim="accounts")) as api:
        yield api


@pytest.fixture
async def api(running: Api) -> Api:
    running.world.clear()
    return running


def naming(*accounts: str, scopes: tuple[str, ...] = ALL_SCOPES) -> str:
    """Return a desk's token that names the accounts."""
    return token("desk", scopes=scopes, accounts=list(accounts))


async def place(api: Api, name: str, account: str | None, *, bearer: str) -> Json:
    answer = await api.answer(PLACE, {"input": limit_order(name, accountId=account)}, bearer=bearer)
    return shown(answer, "placeOrder")


def shown(answer: Json, field: str) -> Json:
    """Return the field's content, or the code of the error at the top."""
    if "errors" in answer:
        (error,) = answer["errors"]
        return {"error": error["extensions"]["code"]}
    data: Any = answer["data"][field]
    return {} if data is None else data


async def test_an_order_is_placed_for_the_named_account_and_for_no_other(api: Api) -> None:
    bearer = naming(*BOTH)

    placed = await place(api, "one", "bob", bearer=bearer)
    without = await place(api, "two", None, bearer=bearer)
    foreign = [await place(api, "three", account, bearer=bearer) for account in ("carol", "nobody", "desk")]

    assert placed["order"]["accountId"] == "bob"
    assert without == {"error": "ACCOUNT_REQUIRED"}
    assert foreign == [{"error": "FORBIDDEN"}] * 3
    assert [row.order.account_id for row in api.world.orders.rows.values()] == ["bob"]


async def test_one_client_order_id_is_another_order_in_each_account(api: Api) -> None:
    bearer = naming(*BOTH)

    first = [await place(api, "same", account, bearer=bearer) for account in BOTH]
    again = [await place(api, "same", account, bearer=bearer) for account in BOTH]

    assert [one["replayed"] for one in (*first, *again)] == [False, False, True, True]
    assert [one["order"] for one in again] == [one["order"] for one in first]
    assert first[0]["order"]["id"] != first[1]["order"]["id"]


async def test_a_token_of_one_account_need_not_name_it_and_cannot_name_another(api: Api) -> None:
    for bearer in (naming("alice"), token("desk", accounts="alice")):
        assert (await place(api, "one", None, bearer=bearer))["order"]["accountId"] == "alice"
        assert (await place(api, "one", "alice", bearer=bearer))["replayed"] is True
        assert await place(api, "one", "bob", bearer=bearer) == {"error": "FORBIDDEN"}
        assert shown(await api.answer(FIND, {"name": "one"}, bearer=bearer), "orderByClientOrderId") != {}


async def test_reads_show_exactly_the_accounts_that_the_token_names(api: Api) -> None:
    for account in ("alice", "bob", "carol"):
        await place(api, f"of-{account}", account, bearer=naming(account))
    bearer = naming(*BOTH)

    async def listed(account: str | None) -> list[str] | Json:
        found = shown(await api.answer(LIST, {"account": account}, bearer=bearer), "orders")
        return [one["accountId"] for one in found["nodes"]] if "nodes" in found else found

    assert await listed(None) == ["alice", "bob"]
    assert await listed("bob") == ["bob"]
    assert await listed("carol") == await listed("nobody") == {"error": "FORBIDDEN"}
    names = [("of-bob", "bob"), ("of-bob", "alice"), ("of-carol", "carol"), ("of-nobody", "nobody")]
    found = [
        shown(await api.answer(FIND, {"name": name, "account": one}, bearer=bearer), "orderByClientOrderId")
        for name, one in names
    ]
    assert found == [{"accountId": "bob"}, {}, {"error": "FORBIDDEN"}, {"error": "FORBIDDEN"}]


async def test_a_cancel_reaches_the_orders_of_the_tokens_accounts_only(api: Api) -> None:
    ids = [
        (await place(api, "one", account, bearer=naming(account)))["order"]["id"]
        for account in ("alice", "bob", "carol")
    ]

    canceled = [shown(await api.answer(CANCEL, {"id": one}, bearer=naming(*BOTH)), "cancelOrder") for one in ids]

    assert [one.get("order", {}).get("accountId", one.get("code")) for one in canceled] == [*BOTH, "ORDER_NOT_FOUND"]


@pytest.mark.parametrize("document", WITHOUT_ACCOUNT.values(), ids=WITHOUT_ACCOUNT)
@pytest.mark.parametrize("bearer", [naming(*BOTH), naming(scopes=(*ALL_SCOPES, "operator"))], ids=["several", "none"])
async def test_what_is_of_one_account_is_not_answered_while_none_is_named(api: Api, document: str, bearer: str) -> None:
    assert (await api.error(document, bearer=bearer))["extensions"] == {"code": "ACCOUNT_REQUIRED"}


async def test_a_stream_follows_the_named_account_and_is_refused_for_another(api: Api) -> None:
    bearer = naming(*BOTH)
    async with api.conversation(bearer) as socket:
        for number, account in enumerate((None, "carol", "nobody")):
            await socket.subscribe(UPDATES, {"account": account}, key=str(number))
            message = await socket.receive()
            code = message["payload"][0]["extensions"]["code"]
            assert (message["type"], code) == ("error", "FORBIDDEN" if account else "ACCOUNT_REQUIRED")

        await socket.subscribe(UPDATES, {"account": "bob"}, key="bob")
        assert (await socket.next_data())["orderUpdates"]["kind"] == "CHECKPOINT"
        for account in BOTH:
            await place(api, "one", account, bearer=bearer)
        assert (await socket.next_data())["orderUpdates"]["order"] == {"accountId": "bob"}


async def test_an_order_of_each_account_can_be_followed_and_no_other(api: Api) -> None:
    follow = "subscription ($id: ID!) { orderStatus(orderId: $id) { order { accountId } } }"
    ids = {one: (await place(api, "one", one, bearer=naming(one)))["order"]["id"] for one in (*BOTH, "carol")}
    async with api.conversation(naming(*BOTH)) as socket:
        for account in BOTH:
            await socket.subscribe(follow, {"id": ids[account]}, key=account)
            assert (await socket.next_data())["orderStatus"]["order"] == {"accountId": account}

        await socket.subscribe(follow, {"id": ids["carol"]}, key="carol")
        message = await socket.receive()

    assert message["payload"][0]["extensions"] == {"code": "ORDER_NOT_FOUND"}


async def test_the_viewer_shows_the_accounts_of_the_token_in_its_order(api: Api) -> None:
    await place(api, "one", "bob", bearer=naming("bob"))
    document = """{ viewer { accounts {
        id accountId openOrders tradingHalted lastOrderAt limits { accountId setBy } } } }"""

    accounts = (await api.data(document, bearer=naming("bob", "alice", "bob")))["viewer"]["accounts"]

    assert [(one["id"], one["accountId"], one["openOrders"]) for one in accounts] == [
        ("acc_bob", "bob", 1),
        ("acc_alice", "alice", 0),
    ]
    assert [one["lastOrderAt"] is None for one in accounts] == [False, True]
    found = '{ nodes(ids: ["acc_alice", "acc_bob", "acc_carol"]) { id } }'
    assert (await api.data(found, bearer=naming(*BOTH)))["nodes"] == [{"id": "acc_alice"}, {"id": "acc_bob"}, None]


async def test_the_head_of_each_account_of_a_token_is_shown(api: Api) -> None:
    api.world.stores.seals.sealed["alice"] = [ChainHead(3, "ab" * 32)]

    accounts = (await api.data("{ viewer { accounts { auditHead } } }", bearer=naming(*BOTH)))["viewer"]["accounts"]

    heads = {"alice": "ab" * 32, "bob": account_genesis("bob").hash}
    assert [each["auditHead"] for each in accounts] == [heads[account] for account in BOTH]


async def test_who_may_only_place_learns_nothing_more_of_the_accounts(api: Api) -> None:
    for field in ("openOrders", "tradingHalted", "lastOrderAt", "auditHead", "limits { setAt }"):
        document = f"{{ viewer {{ accounts {{ {field} }} }} }}"
        answer = await api.answer(document, bearer=naming(*BOTH, scopes=("orders:place",)))

        assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}


async def test_an_operator_reads_any_account_and_trades_for_none_that_the_token_does_not_name(api: Api) -> None:
    await place(api, "one", "carol", bearer=naming("carol"))
    operator = naming(scopes=(*ALL_SCOPES, "operator"))

    found = shown(await api.answer(FIND, {"name": "one", "account": "carol"}, bearer=operator), "orderByClientOrderId")
    refused = await place(api, "two", "carol", bearer=operator)

    assert found == {"accountId": "carol"}
    assert refused == {"error": "FORBIDDEN"}
    named = naming("carol", "dave", scopes=(*ALL_SCOPES, "operator"))
    assert (await place(api, "two", "dave", bearer=named))["order"]["accountId"] == "dave"


BAD_CLAIMS = {
    "missing": None,
    "empty list": [],
    "empty string": "",
    "empty name": ["alice", ""],
    "a number": 7,
    "a number among names": ["alice", 7],
    "null among names": ["alice", None],
    "an object": {"alice": True},
    "a list in a list": [["alice"]],
    "a NUL": ["a\0b"],
    "half a surrogate pair": ["\ud800"],
    "a line break": ["alice\n"],
    "129 characters": ["a" * 129],
    "101 accounts": [f"a{number}" for number in range(101)],
}


@pytest.mark.parametrize("claim", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_a_token_whose_accounts_cannot_be_read_whole_is_no_token(api: Api, claim: object) -> None:
    bearer = token("alice") if claim is None else token("alice", accounts=claim)
    response = await api.post({"query": "{ viewer { scopes } }"}, bearer=bearer)

    assert response.status == 401


async def test_a_token_may_name_100_accounts(api: Api) -> None:
    names = [f"a{number}" for number in range(100)]

    accounts = (await api.data("{ viewer { accounts { accountId openOrders } } }", bearer=naming(*names)))["viewer"]

    assert [one["accountId"] for one in accounts["accounts"]] == names


async def test_rates_of_a_token_of_several_accounts_are_its_subjects_and_use_up_no_accounts() -> None:
    settings = GraphSettings(requests_per_second=1, requests_burst=3)
    async with running_api(World(account_claim="accounts", settings=settings)) as api:

        async def statuses(bearer: str, count: int) -> list[int]:
            return [(await api.post({"query": "{ viewer { scopes } }"}, bearer=bearer)).status for _ in range(count)]

        # For any accounts of its token, the subject has one bucket: a token with other accounts does not get another
        # one.
        assert await statuses(naming("alice", "bob"), 2) == [200, 200]
        assert await statuses(naming("carol", "dave"), 2) == [200, 429]
        assert await statuses(naming("alice"), 1) == [200]
        # Nor does an account that is called like the subject.
        assert await statuses(naming("desk"), 1) == [200]
