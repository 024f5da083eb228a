"""The audit trail over GraphQL: its content, who may read it, and the head of an account's chain."""

import json

import pytest

from domain.model.audit_chain import ChainHead, account_genesis
from tests.graph.schema.test_trading import CANCEL, CLEAR, HALT, RESUME, SET, place
from tests.support.api_server import Api, Json, token

OPERATOR = token("olga", scopes=("operator", "orders:cancel", "orders:place"), jti="token-7")
ACTIONS = """query Actions($first: Int, $after: String, $last: Int, $before: String, $account: ID, $order: ID) {
  operatorActions(first: $first, after: $after, last: $last, before: $before, accountId: $account, orderId: $order) {
    nodes { id at actor action accountId orderId reason before after hash }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
HEAD = "{ viewer { auditHead } }"


async def actions(api: Api, **variables: object) -> Json:
    """Read a page of the trail as an operator."""
    page: Json = (await api.data(ACTIONS, {"first": 10} | variables, bearer=OPERATOR))["operatorActions"]
    return page


async def test_what_an_operator_does_is_in_the_trail_with_who_why_and_what_there_was_before(api: Api) -> None:
    order = await place(api, "one")
    limits = {"accountId": "alice", "maxOpenOrders": 5}
    await api.data(HALT, {"account": "alice", "reason": "fat finger"}, bearer=OPERATOR)
    await api.data(RESUME, {"account": "alice", "reason": "mended"}, bearer=OPERATOR)
    await api.data(SET, {"input": limits | {"reason": "new client"}}, bearer=OPERATOR)
    await api.data(SET, {"input": limits | {"maxOpenOrders": 6}}, bearer=OPERATOR)
    await api.data(CLEAR, {"account": "alice"}, bearer=OPERATOR)
    await api.data(CANCEL, {"id": order["order"]["id"]}, bearer=OPERATOR)

    nodes = (await actions(api))["nodes"][::-1]

    assert [(node["action"], node["reason"]) for node in nodes] == [
        ("TRADING_HALTED", "fat finger"),
        ("TRADING_RESUMED", "mended"),
        ("LIMITS_SET", "new client"),
        ("LIMITS_SET", ""),
        ("LIMITS_CLEARED", ""),
        ("CANCEL_REQUESTED", ""),
    ]
    assert {(node["actor"], node["accountId"]) for node in nodes} == {("olga", "alice")}
    halted, resumed, first, second, cleared, canceled = nodes
    assert (halted["before"], resumed["after"], cleared["after"]) == (None, None, None)
    assert halted["after"] == resumed["before"]
    assert json.loads(halted["after"])["haltReason"] == "fat finger"
    assert (first["before"], first["after"], second["after"]) == (None, second["before"], cleared["before"])
    assert json.loads(second["after"])["maxOpenOrders"] == 6
    assert canceled["orderId"] == order["order"]["id"]
    assert json.loads(canceled["before"]) == {"status": "PENDING", "version": 1}
    assert json.loads(canceled["after"]) == {"status": "CANCELED", "version": 2}
    stored = api.world.orders.actions.actions
    assert {(action.token_id, action.address) for action in stored} == {("token-7", "127.0.0.1")}


async def test_what_changes_nothing_and_what_an_account_does_itself_is_no_operators_action(api: Api) -> None:
    mine = await place(api, "mine")
    await api.data(CANCEL, {"id": mine["order"]["id"]})
    await api.data(CANCEL, {"id": mine["order"]["id"]}, bearer=OPERATOR)
    await api.data(RESUME, {"account": "alice", "reason": "mended"}, bearer=OPERATOR)
    await api.data(CLEAR, {"account": "alice"}, bearer=OPERATOR)

    assert (await actions(api))["nodes"] == []


async def test_behind_a_proxy_the_trail_has_the_proxy_and_its_forwarded_address(api: Api) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9", "Authorization": f"Bearer {OPERATOR}"}
    body = {"query": HALT, "variables": {"account": "alice", "reason": "r"}}

    async with api.http.post(api.url, json=body, headers=forwarded) as response:
        assert response.status == 200

    (action,) = api.world.orders.actions.actions
    assert action.address == "127.0.0.1, forwarded for 203.0.113.9"


async def test_the_trail_is_paged_both_ways_filtered_and_found_by_id(api: Api) -> None:
    for account in ("alice", "bob", "carol", "dora", "alice2"):
        await api.data(HALT, {"account": account, "reason": "r"}, bearer=OPERATOR)

    newest = await actions(api, first=2)
    older = await actions(api, first=2, after=newest["pageInfo"]["endCursor"])
    oldest = await actions(api, first=None, last=1)
    newer = await actions(api, first=None, last=2, before=older["pageInfo"]["startCursor"])
    of_bob = await actions(api, account="bob")
    of_no_order = await actions(api, order="ord_" + "0" * 32)
    node_id = newest["nodes"][0]["id"]
    again = await api.data(
        "query N($id: ID!) { node(id: $id) { __typename ... on OperatorAction { accountId } } }",
        {"id": node_id},
        bearer=OPERATOR,
    )

    assert [node["accountId"] for node in newest["nodes"]] == ["alice2", "dora"]
    assert [node["accountId"] for node in older["nodes"]] == ["carol", "bob"]
    assert (newest["pageInfo"]["hasNextPage"], newest["pageInfo"]["hasPreviousPage"]) == (True, False)
    assert [node["accountId"] for node in oldest["nodes"]] == ["alice"]
    assert newer["nodes"] == newest["nodes"]
    assert [node["accountId"] for node in of_bob["nodes"]] == ["bob"]
    assert of_no_order["nodes"] == []
    assert (node_id[:4], again["node"]) == ("act_", {"__typename": "OperatorAction", "accountId": "alice2"})


async def test_only_an_operator_reads_the_trail(api: Api) -> None:
    await api.data(HALT, {"account": "alice", "reason": "r"}, bearer=OPERATOR)
    node_id = (await actions(api))["nodes"][0]["id"]

    error = await api.error(ACTIONS, {"first": 1})
    found = await api.data("query N($id: ID!) { node(id: $id) { id } }", {"id": node_id})

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert found["node"] is None


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"order": "ins_US0378331005"}, "BAD_USER_INPUT"),
        ({"after": "nonsense"}, "BAD_CURSOR"),
        ({"first": 101}, "PAGE_TOO_LARGE"),
    ],
)
async def test_an_invalid_query_of_the_trail_is_refused(api: Api, variables: Json, code: str) -> None:
    error = (await api.answer(ACTIONS, variables, bearer=OPERATOR))["errors"][0]

    assert error["extensions"]["code"] == code


async def test_the_head_of_an_account_is_its_genesis_until_something_is_sealed(api: Api) -> None:
    before = (await api.data(HEAD))["viewer"]["auditHead"]
    api.world.stores.seals.sealed["alice"] = [ChainHead(3, "ab" * 32)]
    after = (await api.data(HEAD))["viewer"]["auditHead"]
    forbidden = (await api.answer(HEAD, bearer=token(scopes=("orders:place",))))["errors"][0]

    assert (before, after) == (account_genesis("alice").hash, "ab" * 32)
    assert forbidden["extensions"]["code"] == "FORBIDDEN"
