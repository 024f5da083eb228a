"""Another account's order is indistinguishable from none, through every field of the schema there is.

The operations are generated: each root field with everything that can be selected below it, so that a field added later
is tried too. A root field without a case here fails the test.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from graph.auth.bearer import Scope
from graph.schema.cursors import write_stream_cursor
from graph.schema.export import schema_text
from graph.settings import GraphSettings
from tests.support.api_server import ALL_SCOPES, Api, Json, running_api, token
from tests.support.api_world import World
from tests.support.examples import filled
from tests.support.graphql_orders import key_of, limit_order, place, placed_id

SCHEMA = build_schema(schema_text())
ROOTS = {"Query": "query", "Mutation": "mutation", "Subscription": "subscription"}
DEPTH = 5
ALICE_S, BOB_S = "of-alice", "of-bob"
NOBODY_S = {
    "order": "ord_" + "0" * 32,
    "execution": "exe_" + "0" * 32,
    "client_order_id": "of-nobody",
    "account": "acc_nobody",
}
NODES_OF_NOBODY = {"Instrument"}
BOB = token("bob")
MANY = 1_000_000
UNLIMITED = GraphSettings(
    max_depth=MANY,
    max_aliases=MANY,
    max_repeats=MANY,
    max_tokens=MANY,
    max_document_characters=MANY,
    max_cost_objects=MANY,
)
PRICE = "150.17"
"""What one execution of Alice's was traded at, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A root field with its arguments for Alice's order.

    In `arguments`, {order}, {execution}, {client_order_id} and {account} are replaced by her ids; `shows_account`: an
    operator receives her account; `alone`: the field always answers for the token's own account, also an operator's;
    `messages` is how many messages of a subscription are read: a checkpoint comes before the first change.
    """

    root: str
    arguments: Json = field(default_factory=dict)
    scope: Scope | None = Scope.READ
    shows_orders: bool = True
    shows_account: bool = False
    alone: bool = False
    changes: bool = False
    messages: int = 1

    def __str__(self) -> str:
        return f"{self.root}({', '.join(map(str, self.arguments.values()))})"


CASES = (
    Case(root="Query.node", arguments={"id": "{order}"}),
    Case(root="Query.node", arguments={"id": "{execution}"}),
    Case(root="Query.nodes", arguments={"ids": ["{order}", "{execution}"]}),
    Case(root="Query.viewer", scope=None, shows_orders=False, alone=True),
    Case(root="Query.node", arguments={"id": "{account}"}, shows_orders=False, shows_account=True),
    Case(root="Query.order", arguments={"id": "{order}"}),
    Case(root="Query.orderByClientOrderId", arguments={"clientOrderId": "{client_order_id}"}, alone=True),
    Case(root="Query.orders"),
    Case(root="Query.instrument", arguments={"isin": "US0378331005"}, shows_orders=False),
    Case(root="Query.instruments", shows_orders=False),
    Case(
        root="Mutation.placeOrder",
        arguments={"input": limit_order("{client_order_id}")},
        scope=Scope.PLACE,
        alone=True,
        changes=True,
    ),
    Case(root="Mutation.cancelOrder", arguments={"input": {"orderId": "{order}"}}, scope=Scope.CANCEL, changes=True),
    Case(root="Subscription.orderStatus", arguments={"orderId": "{order}"}),
    Case(root="Subscription.orderUpdates", arguments={"after": write_stream_cursor(0)}, alone=True, messages=2),
    Case(
        root="Mutation.resolveOrder",
        arguments={
            "input": {
                "orderId": "{order}",
                "reason": "a test",
                "clientRequestId": "a-request",
                "action": {"reread": True},
            }
        },
        scope=Scope.OPERATOR_RESOLVE,
        shows_orders=False,
        shows_account=True,
        changes=True,
    ),
    *(
        Case(root=root, arguments=arguments, scope=scope, shows_orders=False, shows_account=root == "Query.accounts")
        for root, arguments, scope in (
            ("Query.accounts", {"search": "al"}, Scope.OPERATOR_READ),
            ("Query.accountLimits", {"accountId": "elsewhere"}, Scope.OPERATOR_READ),
            ("Query.tradingHalts", {"accountId": "elsewhere"}, Scope.OPERATOR_READ),
            ("Mutation.haltTrading", {"input": {"accountId": "elsewhere", "reason": "a test"}}, Scope.OPERATOR_HALT),
            ("Mutation.resumeTrading", {"input": {"accountId": "elsewhere", "reason": "a test"}}, Scope.OPERATOR_HALT),
            (
                "Mutation.setAccountLimits",
                {"input": {"accountId": "elsewhere", "maxQuantity": "7"}},
                Scope.OPERATOR_LIMITS,
            ),
            ("Mutation.clearAccountLimits", {"input": {"accountId": "elsewhere"}}, Scope.OPERATOR_LIMITS),
            ("Query.operatorActions", {"accountId": "elsewhere"}, Scope.OPERATOR_READ),
            ("Query.venueAnswer", {"orderId": "{order}"}, Scope.OPERATOR_RESOLVE),
            ("Mutation.revokeTokens", {"input": {"accountId": "elsewhere", "reason": "a test"}}, Scope.OPERATOR_HALT),
        )
    ),
)
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_scoped_case = pytest.mark.parametrize("case", [case for case in CASES if case.scope is not None], ids=str)


def root_fields() -> Iterator[tuple[str, GraphQLField]]:
    for root in ROOTS:
        type_ = SCHEMA.type_map[root]
        assert isinstance(type_, GraphQLObjectType)
        yield from ((f"{root}.{name}", field_) for name, field_ in type_.fields.items())


FIELDS = dict(root_fields())


def document(case: Case) -> str:
    """Return the operation that selects everything in the field."""
    root, _, name = case.root.partition(".")
    field_ = FIELDS[case.root]
    variables = ", ".join(f"${argument}: {field_.args[argument].type}" for argument in case.arguments)
    arguments = ", ".join(f"{argument}: ${argument}" for argument in case.arguments)
    head, call = (f" X({variables})", f"{name}({arguments})") if case.arguments else ("", name)
    return f"{ROOTS[root]}{head} {{ {call} {selection(field_.type, depth=DEPTH)} }}"


def selection(type_: GraphQLOutputType, *, depth: int) -> str:
    """Everything below, as deep as the depth; of each list two rows."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    if is_abstract_type(named):
        members = (f"... on {member} {selection(member, depth=depth)}" for member in SCHEMA.get_possible_types(named))
        return f"{{ __typename {' '.join(members)} }}"
    assert isinstance(named, GraphQLObjectType)
    # Fields of one name in two members of a union may differ in type: each gets an alias.
    fields = (
        f"{named.name}_{name}: {name}{'(first: 2)' if 'first' in below.args else ''} "
        f"{selection(below.type, depth=depth - 1)}"
        for name, below in named.fields.items()
        if depth > 1 or is_leaf_type(get_named_type(below.type))
    )
    return f"{{ __typename {' '.join(fields)} }}"


def with_names(template: Any, names: dict[str, str]) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the arguments with the ids inserted."""
    if isinstance(template, dict):
        return {key: with_names(value, names) for key, value in template.items()}
    if isinstance(template, list):
        return [with_names(value, names) for value in template]
    return template.format(**names) if isinstance(template, str) else template


async def answer(api: Api, case: Case, names: dict[str, str], *, bearer: str) -> Json:
    """Return the field's answer: over HTTP, or the first messages of a subscription."""
    variables = with_names(case.arguments, names)
    if not case.root.startswith("Subscription"):
        return await api.answer(document(case), variables, bearer=bearer)
    payloads: list[Json] = []
    async with api.conversation(bearer) as socket:
        await socket.subscribe(document(case), variables)
        for _ in range(case.messages):
            message = await socket.receive()
            if message["type"] == "error":
                return {"errors": message["payload"]}
            payloads.append(message["payload"])
    return {"data": {case.root.partition(".")[2]: payloads}}


def shown_of_alice(answered: Json, hers: dict[str, str]) -> set[str]:
    """Return which of Alice's data the answer contains. Her client order id is no secret: the caller has it already."""
    text = json.dumps(answered)
    return {secret for secret in (hers["order"], hers["execution"], '"alice"', PRICE) if secret in text}


def codes(answered: Json) -> set[str]:
    return {error["extensions"]["code"] for error in answered.get("errors", ())}


@pytest.fixture(scope="module")
async def unlimited() -> AsyncIterator[Api]:
    """Run a server that answers documents of any size, so that every field can be selected."""
    async with running_api(World(settings=UNLIMITED, has_worker=True)) as api:
        yield api


@pytest.fixture
async def api(unlimited: Api) -> Api:
    """Return the API without orders."""
    unlimited.world.clear()
    return unlimited


@pytest.fixture
async def hers(api: Api) -> dict[str, str]:
    """Create Alice's order with an execution, and one of each other account, so that their lists are not empty."""
    return await fill_book(api, token)


async def fill_book(api: Api, bearer_of: Callable[[str], str]) -> dict[str, str]:
    order_id = await placed_id(api, ALICE_S, bearer=bearer_of("alice"))
    await api.world.report(key_of(order_id), filled("4", price=PRICE))
    found = "query ($id: ID!) { order(id: $id) { executions { nodes { id } } } }"
    [execution] = (await api.data(found, {"id": order_id}, bearer=bearer_of("alice")))["order"]["executions"]["nodes"]
    await placed_id(api, BOB_S, bearer=bearer_of("bob"))
    await placed_id(api, "of-the-desk", bearer=bearer_of("desk"))
    return {"order": order_id, "execution": execution["id"], "client_order_id": ALICE_S, "account": "acc_alice"}


def naming(*accounts: str, scopes: Sequence[str] = ALL_SCOPES) -> str:
    """Return a token that names these accounts, for a server that reads them in the claim `accounts`."""
    return token("somebody", scopes=scopes, accounts=list(accounts))


@pytest.fixture(scope="module")
async def unlimited_by_claim() -> AsyncIterator[Api]:
    """Run the same server, for tokens that name several accounts."""
    async with running_api(World(settings=UNLIMITED, account_claim="accounts", has_worker=True)) as api:
        yield api


@pytest.fixture
async def by_claim(unlimited_by_claim: Api) -> tuple[Api, dict[str, str]]:
    """Return the API for such tokens, and Alice's ids."""
    unlimited_by_claim.world.clear()
    return unlimited_by_claim, await fill_book(unlimited_by_claim, naming)


def test_every_root_field_has_a_case() -> None:
    assert set(FIELDS) == {case.root for case in CASES}, (
        "give each new root field a case: how is it asked for a foreign order?"
    )


def test_every_kind_of_node_is_tested_by_its_id_or_has_no_owner() -> None:
    node = SCHEMA.type_map["Node"]
    assert is_abstract_type(node)

    assert {kind.name for kind in SCHEMA.get_possible_types(node)} == {
        "Order",
        "Execution",
        "TradingHalt",
        "OperatorAction",
        "Account",
        *NODES_OF_NOBODY,
    }


async def test_a_halt_is_a_node_for_operators_only(api: Api) -> None:
    operator = token("desk", scopes=[Scope.OPERATOR])
    halt = """mutation { haltTrading(input: { accountId: "alice", reason: "a test" }) {
        ... on HaltTradingSuccess { halt { id } }
    } }"""
    halt_id = (await api.data(halt, bearer=operator))["haltTrading"]["halt"]["id"]
    found = "query ($id: ID!) { node(id: $id) { id } }"

    assert (await api.data(found, {"id": halt_id}, bearer=operator))["node"] == {"id": halt_id}
    assert (await api.data(found, {"id": halt_id}, bearer=token("alice")))["node"] is None


@each_case
async def test_another_account_is_shown_nothing_and_gets_the_answer_of_an_unknown_id(
    api: Api, case: Case, hers: dict[str, str]
) -> None:
    foreign = await answer(api, case, hers, bearer=BOB)

    assert shown_of_alice(foreign, hers) == set()
    if case.root != "Mutation.placeOrder":
        assert foreign == await answer(api, case, NOBODY_S, bearer=BOB)


@each_case
async def test_its_own_account_is_shown_the_order_by_the_very_same_operation(
    api: Api, case: Case, hers: dict[str, str]
) -> None:
    shown = shown_of_alice(await answer(api, case, hers, bearer=token("alice")), hers)

    assert (hers["order"] in shown or hers["execution"] in shown) is case.shows_orders


@each_case
async def test_an_operator_reads_every_account_except_for_fields_of_its_own(
    api: Api, case: Case, hers: dict[str, str]
) -> None:
    scopes = [Scope.OPERATOR, *([case.scope] if case.changes and case.scope else [])]
    shown = shown_of_alice(await answer(api, case, hers, bearer=token("desk", scopes=scopes)), hers)

    assert bool(shown) is ((case.shows_orders or case.shows_account) and not case.alone)


@each_case
async def test_a_token_of_several_accounts_is_shown_nothing_of_any_other(
    by_claim: tuple[Api, dict[str, str]], case: Case
) -> None:
    api, hers = by_claim
    foreign = await answer(api, case, hers, bearer=naming("bob", "carol"))

    assert shown_of_alice(foreign, hers) == set()
    if case.root != "Mutation.placeOrder":
        assert foreign == await answer(api, case, NOBODY_S, bearer=naming("bob", "carol"))


@each_case
async def test_a_token_of_several_accounts_reads_all_of_them_where_none_has_to_be_named(
    by_claim: tuple[Api, dict[str, str]], case: Case
) -> None:
    api, hers = by_claim
    answered = await answer(api, case, hers, bearer=naming("bob", "alice"))
    shown = shown_of_alice(answered, hers)

    assert (hers["order"] in shown or hers["execution"] in shown) is (case.shows_orders and not case.alone)
    assert ("ACCOUNT_REQUIRED" in codes(answered)) is case.alone


@each_scoped_case
async def test_without_its_scope_a_field_is_forbidden_and_with_only_it_it_is_allowed(
    api: Api, case: Case, hers: dict[str, str]
) -> None:
    assert case.scope is not None
    # A scope to read, halt or limit every account does not allow placing or canceling by itself.
    granting: set[Scope] = {case.scope} if case.scope in {Scope.PLACE, Scope.CANCEL} else {case.scope, Scope.OPERATOR}
    if case.scope is Scope.READ:
        granting.add(Scope.OPERATOR_READ)
    others = [scope for scope in Scope if scope not in granting]
    before = len(api.world.orders.changes)

    refused = await answer(api, case, hers, bearer=token("alice", scopes=others))

    assert codes(refused) == {"FORBIDDEN"}
    assert not (refused.get("data") or {}).get(case.root.partition(".")[2])
    assert len(api.world.orders.changes) == before
    allowed = await answer(api, case, hers, bearer=token("alice", scopes=[case.scope]))
    assert [error["path"] for error in allowed.get("errors", ()) if len(error["path"]) == 1] == []


ORDER = SCHEMA.type_map["Order"]
assert isinstance(ORDER, GraphQLObjectType)
LISTS = [name for name, below in ORDER.fields.items() if "first" in below.args]


@pytest.mark.parametrize("name", LISTS)
async def test_who_may_only_place_is_not_shown_a_list_below_the_order(api: Api, name: str) -> None:
    document = f"""mutation ($input: PlaceOrderInput!) {{
        placeOrder(input: $input) {{ ... on PlaceOrderSuccess {{ order {{ {name} {{ __typename }} }} }} }}
    }}"""

    error = await api.error(document, {"input": limit_order()}, bearer=token(scopes=[Scope.PLACE]))

    assert error["extensions"] == {"code": "FORBIDDEN"}
    assert error["path"] == ["placeOrder", "order", name]


async def test_a_cursor_of_another_account_shows_nothing_of_it(api: Api) -> None:
    await placed_id(api, "first")
    mine = await place(api, limit_order("second"))
    document = "query ($after: String) { orders(after: $after, sort: CREATED_DESC) { nodes { id } } }"

    seen = await api.data(
        document, {"after": mine["orderEdge"]["cursor"]}, bearer=token("operator", scopes=["operator"])
    )
    assert len(seen["orders"]["nodes"]) == 1
    answer = await api.answer(document, {"after": None}, bearer=BOB)
    assert answer["data"]["orders"]["nodes"] == []


async def test_following_an_order_of_another_account_is_refused_like_an_unknown_one(api: Api) -> None:
    order_id = await placed_id(api)
    document = "subscription ($id: ID!) { orderStatus(orderId: $id) { kind } }"

    errors = []
    async with api.conversation(BOB) as socket:
        for key, node_id in enumerate([order_id, "ord_" + "0" * 32, "nonsense"]):
            await socket.subscribe(document, {"id": node_id}, key=str(key))
            message = await socket.receive()
            assert message["type"] == "error"
            errors.append([(error["message"], error["extensions"]) for error in message["payload"]])

    assert errors == [[("There is no such order.", {"code": "ORDER_NOT_FOUND"})]] * 3


async def test_the_stream_of_an_account_shows_no_change_of_another(api: Api) -> None:
    async with api.conversation(BOB) as socket:
        await socket.subscribe("subscription { orderUpdates { kind order { accountId clientOrderId } } }")
        assert (await socket.next_data())["orderUpdates"]["kind"] == "CHECKPOINT"

        await placed_id(api, "of alice".replace(" ", "-"))
        await placed_id(api, "of-bob", bearer=BOB)

        update = (await socket.next_data())["orderUpdates"]
        assert update["order"] == {"accountId": "bob", "clientOrderId": "of-bob"}


async def test_an_operator_sees_every_account(api: Api) -> None:
    order_id = await placed_id(api)
    await placed_id(api, "two", bearer=BOB)
    operator = token("desk", scopes=["operator"])
    document = """query ($id: ID!) {
        order(id: $id) { id } all: orders { nodes { accountId } }
        one: orders(filter: { accountId: "bob" }) { nodes { accountId } }
    }"""

    data = await api.data(document, {"id": order_id}, bearer=operator)

    assert data["order"] == {"id": order_id}
    assert data["all"]["nodes"] == [{"accountId": "bob"}, {"accountId": "alice"}]
    assert data["one"]["nodes"] == [{"accountId": "bob"}]
    async with api.conversation(operator) as socket:
        await socket.subscribe("subscription ($id: ID!) { orderStatus(orderId: $id) { kind } }", {"id": order_id})
        assert (await socket.next_data())["orderStatus"]["kind"] == "SNAPSHOT"
