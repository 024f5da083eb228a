"""An operator's token allows exactly its narrow scopes."""

from collections.abc import AsyncIterator

import pytest

from tests.support.api_server import Api, Json, running_api, token
from tests.support.api_world import World
from tests.support.graphql_orders import placed_id

OPERATOR_SCOPES = ("operator:read", "operator:halt", "operator:limits", "operator:resolve")
FIELDS = {
    "{ accounts { nodes { id } } }": "operator:read",
    '{ accountLimits(accountId: "alice") { maxQuantity } }': "operator:read",
    "{ tradingHalts { nodes { id } } }": "operator:read",
    '{ orders(filter: { accountId: "alice" }) { nodes { id } } }': "operator:read",
    '{ orderByClientOrderId(clientOrderId: "one", accountId: "alice") { id } }': "operator:read",
    'mutation { haltTrading(input: { accountId: "alice", reason: "x" }) { __typename } }': "operator:halt",
    'mutation { resumeTrading(input: { accountId: "alice", reason: "x" }) { __typename } }': "operator:halt",
    'mutation { setAccountLimits(input: { accountId: "alice", maxQuantity: "7" }) { __typename } }': "operator:limits",
    'mutation { clearAccountLimits(input: { accountId: "alice" }) { __typename } }': "operator:limits",
}
CANCEL = """mutation ($id: ID!) { cancelOrder(input: { orderId: $id }) { __typename } }"""
READ = "query ($id: ID!) { order(id: $id) { id } orders { nodes { id } } }"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Api]:
    async with running_api() as api:
        yield api


@pytest.fixture
async def api(running: Api) -> Api:
    running.world.clear()
    return running


async def is_allowed(api: Api, document: str, *scopes: str, variables: Json | None = None) -> bool:
    answer = await api.answer(document, variables, bearer=token("olga", scopes=scopes))
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert codes <= {"FORBIDDEN"}
    return not codes


@pytest.mark.parametrize(("document", "needed"), FIELDS.items())
async def test_each_field_of_operators_takes_its_own_scope_or_the_sum_and_no_other(
    api: Api, document: str, needed: str
) -> None:
    others = [scope for scope in OPERATOR_SCOPES if scope != needed]

    # The scope to read orders is not an operator's; some of these fields need it.
    assert not await is_allowed(api, document, "orders:read", "orders:place", "orders:cancel", *others)
    assert not api.world.orders.halts.halts
    assert not api.world.orders.book.stored
    assert await is_allowed(api, document, needed)
    assert await is_allowed(api, document, "operator")


@pytest.mark.parametrize("scope", [*OPERATOR_SCOPES, "operator"])
async def test_only_who_may_read_is_shown_the_orders_of_others(api: Api, scope: str) -> None:
    order_id = await placed_id(api)

    data = await api.data(READ, {"id": order_id}, bearer=token("olga", scopes=["orders:read", scope]))

    if scope in {"operator:read", "operator"}:
        assert data == {"order": {"id": order_id}, "orders": {"nodes": [{"id": order_id}]}}
    else:
        assert data == {"order": None, "orders": {"nodes": []}}


@pytest.mark.parametrize("scope", [*OPERATOR_SCOPES, "operator"])
async def test_only_who_may_halt_and_cancel_cancels_the_orders_of_others(api: Api, scope: str) -> None:
    order_id = await placed_id(api)
    bearer = token("olga", scopes=["orders:read", "orders:cancel", scope])

    result = (await api.data(CANCEL, {"id": order_id}, bearer=bearer))["cancelOrder"]["__typename"]

    assert result == ("CancelOrderSuccess" if scope in {"operator:halt", "operator"} else "OrderNotFound")
    assert not await is_allowed(api, CANCEL, scope, "orders:read", "orders:place", variables={"id": order_id})


async def test_scopes_that_only_look_like_an_operators_are_none(api: Api) -> None:
    for scopes in (["operator:"], ["Operator"], ["operator:all"], ["operator:*"], ["operators"], ["orders:operator"]):
        assert not await is_allowed(api, "{ accounts { nodes { id } } }", *scopes)


async def test_the_trail_names_the_subject_and_not_the_account() -> None:
    halt = """mutation { haltTrading(input: { everybody: true, reason: "x" }) {
        ... on HaltTradingSuccess { halt { haltedBy } } } }"""
    async with running_api(World(account_claim="accounts")) as api:
        bearer = token("olga", scopes=["operator:halt"], accounts=["alice"])
        without = token("omar", scopes=["operator:halt"])

        assert (await api.data(halt, bearer=bearer))["haltTrading"]["halt"] == {"haltedBy": "olga"}
        api.world.clear()
        assert (await api.data(halt, bearer=without))["haltTrading"]["halt"] == {"haltedBy": "omar"}
