"""Revoking tokens over GraphQL: who may, and the answer."""

import pytest

from tests.support.api_server import Api, Json, token

OPERATOR = token("olga", scopes=("operator",))
REVOKE = """mutation Revoke($input: RevokeTokensInput!) {
  revokeTokens(input: $input) {
    __typename
    ... on RevokeTokensSuccess { inForceAt }
    ... on InvalidInput { issues { path code } }
    ... on UserError { code message path } } }"""


async def revoke(api: Api, **asked: object) -> Json:
    """Revoke as an operator; the mutation's result."""
    data = await api.data(REVOKE, {"input": {"reason": "stolen"} | asked}, bearer=OPERATOR)
    result: Json = data["revokeTokens"]
    return result


async def test_an_operator_revokes_a_token_and_learns_by_when_it_is_in_force(api: Api) -> None:
    result = await revoke(api, tokenId="t-1")

    ((_, stored),) = api.world.revocations.stored.values()
    assert result["__typename"] == "RevokeTokensSuccess"
    assert result["inForceAt"].startswith("2026-11-20T12:00:02")
    assert (stored.tokens.token_id, stored.revoked_by, stored.reason) == ("t-1", "olga", "stolen")


async def test_a_given_time_is_used_and_none_means_now(api: Api) -> None:
    await revoke(api, accountId="alice", issuedBefore="2026-11-20T11:00:00Z")
    await revoke(api, accountId="bob", issuedBefore=None)

    moments = {
        stored.tokens.account_id: stored.tokens.issued_before for _, stored in api.world.revocations.stored.values()
    }
    assert str(moments["alice"]) == "2026-11-20 11:00:00+00:00"
    assert str(moments["bob"]).startswith("2026-11-20 12:00:00.")


@pytest.mark.parametrize(
    ("asked", "issues"),
    [
        ({}, [("tokenId", "REQUIRED"), ("accountId", "REQUIRED")]),
        ({"tokenId": None, "accountId": None}, [("tokenId", "REQUIRED"), ("accountId", "REQUIRED")]),
        ({"tokenId": "t", "accountId": "a"}, [("tokenId", "NOT_ALLOWED"), ("accountId", "NOT_ALLOWED")]),
        ({"tokenId": "t", "issuedBefore": "2026-11-20T11:00:00Z"}, [("issuedBefore", "NOT_ALLOWED")]),
        ({"accountId": "a", "issuedBefore": "2126-11-20T11:00:00Z"}, [("issuedBefore", "OUT_OF_RANGE")]),
        ({"tokenId": "", "reason": ""}, [("tokenId", "OUT_OF_RANGE"), ("reason", "OUT_OF_RANGE")]),
    ],
)
async def test_everything_invalid_is_named_and_nothing_is_revoked(
    api: Api, asked: Json, issues: list[tuple[str, str]]
) -> None:
    result = await revoke(api, **asked)

    assert (result["__typename"], result["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert [(issue["path"], issue["code"]) for issue in result["issues"]] == [
        (["input", field], code) for field, code in issues
    ]
    assert result["path"] == ["input", issues[0][0]]
    assert not api.world.revocations.stored


async def test_without_the_database_an_operator_is_asked_to_retry(api: Api) -> None:
    api.world.revocations.is_away = True

    result = await revoke(api, tokenId="t-1")

    assert (result["__typename"], result["code"]) == ("Unavailable", "UNAVAILABLE")


async def test_only_operators_revoke(api: Api) -> None:
    error = await api.error(REVOKE, {"input": {"tokenId": "t-1", "reason": "spite"}}, bearer=token("mallory"))

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert not api.world.revocations.stored
