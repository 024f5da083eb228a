"""Limits and halts over GraphQL: who may, the answers, and what an account can read of them."""

from decimal import Decimal

import pytest

from domain.model.limits import LastPrice
from tests.support.api_server import Api, Json, token
from tests.support.examples import ISIN, at

OPERATOR = token("olga", scopes=("operator",))
HALT = """mutation Halt($account: ID, $everybody: Boolean! = false, $reason: String!) {
  haltTrading(input: {accountId: $account, everybody: $everybody, reason: $reason}) {
    __typename ... on HaltTradingSuccess { halt { id accountId haltedBy haltReason resumedAt } }
    ... on UserError { code message path } } }"""
RESUME = """mutation Resume($account: ID, $everybody: Boolean! = false, $reason: String!) {
  resumeTrading(input: {accountId: $account, everybody: $everybody, reason: $reason}) {
    __typename ... on ResumeTradingSuccess { halt { id resumedBy resumeReason resumedAt } }
    ... on UserError { code message path } } }"""
SET = """mutation Set($input: SetAccountLimitsInput!) {
  setAccountLimits(input: $input) {
    __typename
    ... on SetAccountLimitsSuccess { limits { accountId maxQuantity maxNotional maxOpenOrders setBy } }
    ... on InvalidLimits { issues { path code } }
    ... on UserError { code path } } }"""
CLEAR = """mutation Clear($account: ID, $everybody: Boolean! = false) {
  clearAccountLimits(input: {accountId: $account, everybody: $everybody}) {
    __typename ... on ClearAccountLimitsSuccess { limits { accountId maxQuantity } } } }"""
LIMITS = "query Limits($account: ID) { accountLimits(accountId: $account) { accountId maxQuantity setBy } }"
HALTS = """query Halts($open: Boolean, $account: ID) {
  tradingHalts(isOpen: $open, accountId: $account, first: 10) { nodes { id accountId } pageInfo { hasNextPage } } }"""
MINE = """{ viewer { tradingHalted openOrders
  limits { accountId maxQuantity maxNotional priceCollarPercent maxOpenOrders maxOrdersPerSecond setAt setBy } } }"""
PLACE = """mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess { order { id } }
    ... on UserError { code message path }
    ... on OrderDenied { limit { name maximum used requested } } }
}"""
MARKET = {"type": "MARKET", "limitPrice": None}
CANCEL = """mutation Cancel($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"""


async def place(api: Api, name: str, **changed: object) -> Json:
    """Place an order of Apple; the mutation's result."""
    order = {"clientOrderId": name, "isin": ISIN, "side": "BUY", "type": "LIMIT", "quantity": "10", "limitPrice": "100"}
    result: Json = (await api.data(PLACE, {"input": order | changed}))["placeOrder"]
    return result


async def halt(api: Api, account: str | None = None) -> Json:
    """Halt; the halt that is open then."""
    result = await api.data(
        HALT, {"account": account, "everybody": account is None, "reason": "fat finger"}, bearer=OPERATOR
    )
    opened: Json = result["haltTrading"]["halt"]
    return opened


async def set_limits(api: Api, **limits: object) -> Json:
    """Set limits; the mutation's result."""
    whom = {"everybody": "accountId" not in limits}
    result: Json = (await api.data(SET, {"input": whom | limits}, bearer=OPERATOR))["setAccountLimits"]
    return result


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (HALT, {"reason": "x"}),
        (RESUME, {"reason": "x"}),
        (SET, {"input": {}}),
        (CLEAR, {}),
        (LIMITS, {}),
        (LIMITS, {"account": "alice"}),
        (HALTS, {}),
    ],
)
async def test_only_an_operator_may_halt_or_limit_or_look_at_others(api: Api, document: str, variables: Json) -> None:
    error = await api.error(document, variables)

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert not api.world.orders.halts.halts
    assert not api.world.orders.book.stored


async def test_an_accounts_own_limits_need_the_scope_to_read(api: Api) -> None:
    error = (await api.answer(MINE, bearer=token(scopes=("orders:place",))))["errors"][0]

    assert error["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("whom", [None, "alice"])
async def test_a_halt_denies_orders_leaves_cancels_open_and_ends_when_it_is_resumed(api: Api, whom: str | None) -> None:
    before = await place(api, "before")
    opened = await halt(api, whom)

    denied = await place(api, "during")
    replayed = await place(api, "before")
    seen = (await api.data(MINE))["viewer"]["tradingHalted"]
    canceled = await api.data(CANCEL, {"id": before["order"]["id"]})
    resuming = {"account": whom, "everybody": whom is None, "reason": "mended"}
    ended = (await api.data(RESUME, resuming, bearer=OPERATOR))["resumeTrading"]
    after = await place(api, "during")

    assert opened | {"id": ""} == {
        "id": "",
        "accountId": whom,
        "haltedBy": "olga",
        "haltReason": "fat finger",
        "resumedAt": None,
    }
    assert (denied["__typename"], denied["code"]) == ("OrderDenied", "TRADING_HALTED")
    assert (denied["path"], denied["limit"]) == (None, None)
    assert "fat finger" not in denied["message"]
    assert replayed == before
    assert seen is True
    assert canceled["cancelOrder"]["__typename"] == "CancelOrderSuccess"
    assert (ended["halt"]["id"], ended["halt"]["resumedBy"]) == (opened["id"], "olga")
    assert after["__typename"] == "PlaceOrderSuccess"


async def test_resuming_what_is_not_halted_is_an_expected_failure(api: Api) -> None:
    await halt(api, "alice")

    result = (await api.data(RESUME, {"everybody": True, "reason": "mended"}, bearer=OPERATOR))["resumeTrading"]

    assert (result["__typename"], result["code"], result["path"]) == ("NotHalted", "NOT_HALTED", ["input", "accountId"])


@pytest.mark.parametrize("variables", [{"reason": ""}, {"reason": " "}, {"reason": "x" * 501}, {"reason": "a\nb"}])
async def test_a_halt_needs_a_reason_that_can_be_read(api: Api, variables: Json) -> None:
    error = (await api.answer(HALT, variables | {"everybody": True}, bearer=OPERATOR))["errors"][0]

    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "whom", [{}, {"account": None}, {"account": ""}, {"account": " alice"}, {"account": "alice", "everybody": True}]
)
async def test_a_missing_account_does_not_mean_all_accounts(api: Api, whom: Json) -> None:
    halting, resuming, clearing = [
        (await api.answer(document, {"reason": "x"} | whom, bearer=OPERATOR))["errors"][0]
        for document in (HALT, RESUME, CLEAR)
    ]
    limits = {"maxQuantity": "1"} | {"accountId" if name == "account" else name: one for name, one in whom.items()}
    setting = (await api.answer(SET, {"input": limits}, bearer=OPERATOR))["errors"][0]

    assert {one["extensions"]["code"] for one in (halting, resuming, clearing, setting)} == {"BAD_USER_INPUT"}
    assert not api.world.orders.halts.halts
    assert not api.world.orders.book.stored


async def test_the_limits_shown_for_what_can_be_no_account_are_an_error(api: Api) -> None:
    for account in ("", "a\0b", "a" * 129):
        error = (await api.answer(LIMITS, {"account": account}, bearer=OPERATOR))["errors"][0]

        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_trail_is_a_connection_of_nodes_that_only_operators_find(api: Api) -> None:
    ids = [(await halt(api, account))["id"] for account in ("alice", "bob")]

    trail = (await api.data(HALTS, bearer=OPERATOR))["tradingHalts"]
    of_alice = (await api.data(HALTS, {"open": True, "account": "alice"}, bearer=OPERATOR))["tradingHalts"]
    query = "query Find($id: ID!) { node(id: $id) { __typename id } }"
    found = (await api.data(query, {"id": ids[0]}, bearer=OPERATOR))["node"]
    hidden = (await api.data(query, {"id": ids[0]}))["node"]

    assert [one["id"] for one in trail["nodes"]] == ids[::-1]
    assert trail["pageInfo"]["hasNextPage"] is False
    assert [one["id"] for one in of_alice["nodes"]] == ids[:1]
    assert found == {"__typename": "TradingHalt", "id": ids[0]}
    assert hidden is None


async def test_limits_are_set_as_a_whole_shown_and_cleared(api: Api) -> None:
    defaults = await set_limits(api, maxQuantity="50", maxOpenOrders=7)
    own = await set_limits(api, accountId="alice", maxNotional="1000.50")
    await api.data(MINE)

    mine = (await api.data(MINE))["viewer"]["limits"]
    shown = [(await api.data(LIMITS, {"account": who}, bearer=OPERATOR))["accountLimits"] for who in ("bob", None)]
    cleared = (await api.data(CLEAR, {"account": "alice"}, bearer=OPERATOR))["clearAccountLimits"]["limits"]

    assert defaults["limits"]["accountId"] is None
    assert own["limits"] | {"setBy": ""} == {
        "accountId": "alice",
        "maxQuantity": None,
        "maxNotional": "1000.5",
        "maxOpenOrders": None,
        "setBy": "",
    }
    assert (mine["accountId"], mine["maxNotional"], mine["setBy"]) == ("alice", "1000.5", None)
    assert shown == [{"accountId": None, "maxQuantity": "50", "setBy": "olga"}] * 2
    assert cleared == {"accountId": None, "maxQuantity": "50"}


@pytest.mark.parametrize(
    ("limits", "fields", "code"),
    [
        ({"maxQuantity": "NaN", "maxNotional": 5}, ["maxQuantity", "maxNotional"], "BAD_FORMAT"),
        ({}, ["maxQuantity"], "REQUIRED"),
        ({"accountId": "alice"}, ["maxQuantity"], "REQUIRED"),
        ({"maxQuantity": "0"}, ["maxQuantity"], "OUT_OF_RANGE"),
        ({"priceCollarPercent": "-1"}, ["priceCollarPercent"], "OUT_OF_RANGE"),
        ({"maxOpenOrders": 0, "maxOrdersPerSecond": 1001}, ["maxOpenOrders", "maxOrdersPerSecond"], "OUT_OF_RANGE"),
    ],
)
async def test_what_cannot_be_a_limit_is_named_with_its_path(
    api: Api, limits: Json, fields: list[str], code: str
) -> None:
    result = await set_limits(api, **limits)

    assert result["__typename"] == "InvalidLimits"
    assert [(issue["path"], issue["code"]) for issue in result["issues"]] == [
        (["input", name], code) for name in fields
    ]
    assert not api.world.orders.book.stored


@pytest.mark.parametrize(
    ("limits", "changed", "path", "used"),
    [
        ({"maxQuantity": "9"}, {}, ["input", "quantity"], ("MAX_QUANTITY", "9", None, "10")),
        ({"maxNotional": "999"}, {}, ["input", "quantity"], ("MAX_NOTIONAL", "999", None, "1000")),
        ({"maxNotional": "1999"}, MARKET, ["input", "quantity"], ("MAX_NOTIONAL", "1999", None, "2000")),
        ({"priceCollarPercent": "5"}, {}, ["input", "limitPrice"], ("PRICE_COLLAR", "5", None, "50")),
        ({"maxOpenOrders": 1}, {}, None, ("MAX_OPEN_ORDERS", "1", "1", "1")),
        ({"maxOrdersPerSecond": 1}, {}, None, ("ORDER_RATE", "1", "1", "1")),
    ],
)
async def test_an_order_beyond_a_limit_is_denied_with_its_code_its_field_and_the_limits_use(
    api: Api, limits: Json, changed: Json, path: list[str] | None, used: tuple[str | None, ...]
) -> None:
    api.world.prices.note([LastPrice(isin=ISIN, price=Decimal(200), at=at(0))])
    await place(api, "remembers-the-limits", **MARKET)
    await set_limits(api, accountId="alice", **limits)
    await place(api, "within", quantity="1", **MARKET)

    denied = await place(api, "beyond", **changed)

    assert (denied["__typename"], denied["path"]) == ("OrderDenied", path)
    names = ("name", "maximum", "used", "requested")
    assert denied["limit"] == dict(zip(names, used, strict=True))
    assert denied["code"] == denied["limit"]["name"]


async def test_orders_in_one_document_are_each_charged(api: Api) -> None:
    await set_limits(api, maxOrdersPerSecond=2)
    order = f'isin: "{ISIN}", side: BUY, type: MARKET, quantity: "1"'
    fields = " ".join(
        f'n{number}: placeOrder(input: {{clientOrderId: "{number}", {order}}}) {{ __typename }}' for number in range(2)
    )

    data = await api.data(f"mutation {{ {fields} }}")
    denied = await place(api, "third")

    assert [result["__typename"] for result in data.values()] == ["PlaceOrderSuccess"] * 2
    assert denied["code"] == "ORDER_RATE"
