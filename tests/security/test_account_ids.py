"""Every account that can trade can be halted by itself, under the exact id by which it trades."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.accounts import ACCOUNT_ID_MAX_CHARACTERS, AccountRule
from domain.model.limits import AccountLimits
from tests.support.api_server import ALL_SCOPES, Api, Json, running_api, token
from tests.support.api_world import World
from tests.support.examples import ISIN, new_order
from tests.support.graphql_orders import key_of, limit_order

PLACE = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) {
    ... on PlaceOrderSuccess { order { id } } ... on UserError { code } } }"""
CANCEL = """mutation ($id: ID!) { cancelOrder(input: { orderId: $id }) {
    ... on CancelOrderSuccess { order { status } } ... on UserError { code } } }"""
HALT = """mutation ($account: ID!) { haltTrading(input: { accountId: $account, reason: "a test" }) {
    ... on HaltTradingSuccess { halt { accountId } } } }"""
RESUME = """mutation ($account: ID!) { resumeTrading(input: { accountId: $account, reason: "a test" }) {
    ... on ResumeTradingSuccess { halt { accountId } } } }"""
LIMIT = """mutation ($account: ID!) { setAccountLimits(input: { accountId: $account, maxQuantity: "7" }) {
    ... on SetAccountLimitsSuccess { limits { accountId } } } }"""
CLEAR = """mutation ($account: ID!) { clearAccountLimits(input: { accountId: $account }) {
    ... on ClearAccountLimitsSuccess { limits { accountId } } } }"""
OPERATOR = token("olga", scopes=["operator"])
OLD = (" desk", "desk ", "d\u00e9sk", " ")
"""Ids that tokens named before there was a rule."""
ids = st.one_of(
    st.text(min_size=1, max_size=ACCOUNT_ID_MAX_CHARACTERS + 1),
    st.text(alphabet=st.characters(min_codepoint=0x1F, max_codepoint=0x7F), min_size=1, max_size=8),
    st.sampled_from(OLD),
)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Api]:
    async with running_api() as api:
        yield api


@pytest.fixture
async def api(running: Api) -> Api:
    running.world.clear()
    return running


async def done(api: Api, document: str, variables: Json, *, bearer: str) -> str | Json:
    """Return the content of the document's only field, or the code of the refusal."""
    answer = await api.answer(document, variables, bearer=bearer)
    if not isinstance(answer.get("data"), dict) or None in answer["data"].values():
        code: str = answer["errors"][0]["extensions"]["code"]
        return code
    (result,) = answer["data"].values()
    shown: str | Json = result.get("code", result)
    return shown


async def place(api: Api, account: str, name: str, *, scopes: tuple[str, ...] = ALL_SCOPES) -> str | Json:
    """Place as the account."""
    return await done(api, PLACE, {"input": limit_order(name, isin=ISIN)}, bearer=token(account, scopes=scopes))


async def halt(api: Api, account: str) -> str | Json:
    return await done(api, HALT, {"account": account}, bearer=OPERATOR)


async def store_old_order(api: Api, account: str) -> str:
    """Store an order from before the rule; return its id."""
    stored = await api.world.orders.store(new_order(account_id=account, client_order_id="before"))
    return f"ord_{stored.order.id.hex}"


@settings(max_examples=60)
@given(account=ids)
async def test_an_account_that_can_trade_is_halted_by_itself_and_one_that_cannot_is_no_account(
    running: Api, account: str
) -> None:
    running.world.clear()

    placed = await place(running, account, "before")
    halted = await halt(running, account)

    if isinstance(placed, dict):
        assert halted == {"halt": {"accountId": account}}
        assert await place(running, account, "during") == "TRADING_HALTED"
    else:
        assert {placed, halted} <= {"UNAUTHENTICATED", "BAD_USER_INPUT"}
        assert not running.world.orders.halts.halts
    assert isinstance(await place(running, f"{len(account)}-another", "during"), dict)


@pytest.mark.parametrize("account", OLD)
async def test_an_account_from_before_the_rule_reads_trades_cancels_and_is_halted_by_itself(
    api: Api, account: str
) -> None:
    order_id = await store_old_order(api, account)
    bearer = token(account)

    read = await api.data("query ($id: ID!) { order(id: $id) { accountId } }", {"id": order_id}, bearer=bearer)
    placed = await place(api, account, "after")
    halted = await halt(api, account)
    during = await place(api, account, "during")
    canceled = await done(api, CANCEL, {"id": order_id}, bearer=bearer)
    others = await place(api, "desk", "during")
    resumed = await done(api, RESUME, {"account": account}, bearer=OPERATOR)

    assert read["order"] == {"accountId": account}
    assert isinstance(placed, dict)
    assert halted == resumed == {"halt": {"accountId": account}}
    assert during == "TRADING_HALTED"
    assert canceled == {"order": {"status": "CANCELED"}}
    assert isinstance(others, dict)
    assert isinstance(await place(api, account, "later"), dict)


@pytest.mark.parametrize("account", OLD)
async def test_a_new_account_that_breaks_the_rule_reads_nothing_and_neither_trades_nor_is_halted(
    api: Api, account: str
) -> None:
    assert (await api.data("{ orders { nodes { id } } }", bearer=token(account)))["orders"]["nodes"] == []
    assert await place(api, account, "one") == "BAD_USER_INPUT"
    for document in (HALT, RESUME, LIMIT, CLEAR):
        assert await done(api, document, {"account": account}, bearer=OPERATOR) == "BAD_USER_INPUT"
    assert not api.world.orders.rows
    assert not api.world.orders.halts.halts
    assert not api.world.orders.book.stored


async def test_what_an_operator_set_before_there_was_a_rule_can_be_ended(api: Api) -> None:
    api.world.orders.book.stored["d\u00e9sk"] = AccountLimits(account_id="d\u00e9sk", max_open_orders=1)

    assert await done(api, CLEAR, {"account": "d\u00e9sk"}, bearer=OPERATOR) != "BAD_USER_INPUT"
    assert not api.world.orders.book.stored


async def test_an_installation_may_have_a_rule_of_its_own() -> None:
    async with running_api(World(account_rule=AccountRule(pattern="desk-[0-9]+"))) as api:
        order_id = await store_old_order(api, "alice")

        assert isinstance(await place(api, "desk-7", "one"), dict)
        assert isinstance(await halt(api, "desk-7"), dict)
        assert await place(api, "desk-x", "one") == await halt(api, "desk-x") == "BAD_USER_INPUT"
        assert isinstance(await place(api, "alice", "one"), dict)
        assert isinstance(await halt(api, "alice"), dict)
        assert api.world.orders.rows[key_of(order_id)].order.account_id == "alice"
