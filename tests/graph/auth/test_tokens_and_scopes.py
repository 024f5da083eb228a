"""Tokens: which are valid. Scopes: what each allows, and what is refused without it."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.auth.key_set import KeySetHolder, parse_key_set
from graph.auth.tokens import (
    EndedTokenError,
    ExpectedClaims,
    HmacTokens,
    InvalidTokenError,
    KeySetTokens,
    UnknownKeyError,
    VerificationUnavailableError,
    read_bearer,
)
from tests.support.api_server import ALL_SCOPES, SECRET, Api, token
from tests.support.graphql_orders import PLACE, limit_order, placed_id
from tests.support.token_issuer import TokenIssuer, key_set, new_key, public_entry

TOKENS = HmacTokens(secret=SECRET)

NEEDS = {
    '{ node(id: "ord_1") { id } }': "orders:read",
    '{ nodes(ids: ["ord_1"]) { id } }': "orders:read",
    '{ order(id: "ord_1") { id } }': "orders:read",
    '{ orderByClientOrderId(clientOrderId: "one") { id } }': "orders:read",
    "{ orders { nodes { id } } }": "orders:read",
    '{ instrument(isin: "US0378331005") { id } }': "orders:read",
    "{ instruments { nodes { id } } }": "orders:read",
    'mutation { cancelOrder(input: { orderId: "ord_1" }) { __typename } }': "orders:cancel",
}
SUBSCRIPTIONS = (
    'subscription { orderStatus(orderId: "ord_1") { kind } }',
    "subscription { orderUpdates { kind } }",
)


def signed(claims: dict[str, object], *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def later(seconds: float = 60) -> float:
    return datetime.now(UTC).timestamp() + seconds


@pytest.mark.parametrize(("document", "scope"), NEEDS.items())
async def test_a_field_is_forbidden_without_its_scope(api: Api, document: str, scope: str) -> None:
    others = [name for name in ALL_SCOPES if name != scope]

    assert (await api.error(document, bearer=token(scopes=others)))["extensions"] == {"code": "FORBIDDEN"}
    assert "errors" not in await api.answer(document, bearer=token(scopes=[scope]))


async def test_placing_is_forbidden_without_its_scope_and_stores_nothing(api: Api) -> None:
    error = await api.error(PLACE, {"input": limit_order()}, bearer=token(scopes=["orders:read", "orders:cancel"]))

    assert error["extensions"] == {"code": "FORBIDDEN"}
    assert not api.world.orders.rows


async def test_an_operator_reads_but_neither_places_nor_cancels_without_the_scope(api: Api) -> None:
    operator = token(scopes=["operator"])
    cancel = 'mutation { cancelOrder(input: { orderId: "ord_1" }) { __typename } }'

    assert (await api.error(PLACE, {"input": limit_order()}, bearer=operator))["extensions"] == {"code": "FORBIDDEN"}
    assert (await api.error(cancel, bearer=operator))["extensions"] == {"code": "FORBIDDEN"}
    assert await api.data("{ orders { nodes { id } } }", bearer=operator) == {"orders": {"nodes": []}}


async def test_what_hangs_on_a_placed_order_needs_the_scope_to_read(api: Api) -> None:
    document = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) {
        ... on PlaceOrderSuccess { order { history { nodes { kind } } } }
    } }"""

    error = await api.error(document, {"input": limit_order()}, bearer=token(scopes=["orders:place"]))

    assert error["extensions"] == {"code": "FORBIDDEN"}


@pytest.mark.parametrize("document", SUBSCRIPTIONS)
async def test_a_subscription_is_forbidden_without_the_scope_to_read(api: Api, document: str) -> None:
    async with api.conversation(token(scopes=["orders:place", "orders:cancel"])) as socket:
        await socket.subscribe(document)

        message = await socket.receive()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_the_viewer_needs_no_scope(api: Api) -> None:
    assert await api.data("{ viewer { scopes } }", bearer=token(scopes=[])) == {"viewer": {"scopes": []}}


BAD_TOKENS = {
    "expired": token(ttl=timedelta(seconds=-60)),
    "of another secret": signed({"sub": "a", "exp": later()}, secret="another secret of thirty-two bytes or more"),
    "without end": signed({"sub": "a"}),
    "without account": signed({"exp": later()}),
    "of an empty account": signed({"sub": "", "exp": later()}),
    "of an account with a NUL": signed({"sub": "a\0b", "exp": later()}),
    "of an account of 10 000 characters": signed({"sub": "a" * 4_000, "exp": later()}),
    "with a number as its scope": signed({"sub": "a", "exp": later(), "scope": 5}),
    "with a number among its scopes": signed({"sub": "a", "exp": later(), "scp": ["operator", 5]}),
    "with an end beyond time": signed({"sub": "a", "exp": 10**18}),
    "with another algorithm": signed({"sub": "a", "exp": later()}, algorithm="HS512", secret=SECRET * 2),
    "without signature": jwt.encode({"sub": "a", "exp": later()}, key="", algorithm="none"),
    "not yet begun": token(nbf=later(600)),
    "no token": "nonsense",
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_is_refused(bad: str) -> None:
    with pytest.raises(InvalidTokenError):
        TOKENS.verify(bad)


def test_an_expired_token_of_either_secret_is_told_from_one_that_was_never_valid() -> None:
    rotated = HmacTokens(secret="the next secret of thirty-two bytes or more", previous_secret=SECRET)
    current = signed({"sub": "a", "exp": later(-60)}, secret=rotated.secret)

    for expired in (current, BAD_TOKENS["expired"]):
        with pytest.raises(EndedTokenError):
            rotated.verify(expired)
    with pytest.raises(InvalidTokenError) as refused:
        rotated.verify(signed({"sub": "a", "exp": later(-60)}, secret="another secret of thirty-two bytes or more"))
    assert type(refused.value) is InvalidTokenError


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", 5, "Bearer " + "x" * 10_000])
def test_a_header_without_bearer_token_is_refused(header: object) -> None:
    with pytest.raises(InvalidTokenError):
        read_bearer(header)


def test_audience_and_issuer_are_checked_where_they_are_expected() -> None:
    picky = HmacTokens(secret=SECRET, expected=ExpectedClaims(audience="fillwire", issuer="https://issuer"))

    assert picky.verify(token(aud="fillwire", iss="https://issuer")).account_ids == ("alice",)
    assert TOKENS.verify(token(aud="anybody")).account_ids == ("alice",)
    for bad in (token(), token(aud="other", iss="https://issuer"), token(aud="fillwire", iss="https://other")):
        with pytest.raises(InvalidTokenError):
            picky.verify(bad)


def test_a_token_of_either_of_two_secrets_is_valid_and_of_a_third_is_not() -> None:
    new = "the secret that tokens are signed with from now on"
    rotating = HmacTokens(secret=new, previous_secret=SECRET)

    for secret in (new, SECRET):
        assert rotating.verify(signed({"sub": "a", "exp": later()}, secret=secret)).subject == "a"
    for bad in BAD_TOKENS.values():
        with pytest.raises(InvalidTokenError):
            rotating.verify(bad)


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer(port=1)


@pytest.fixture(scope="module")
def key_set_tokens(issuer: TokenIssuer) -> KeySetTokens:
    return KeySetTokens(
        keys=KeySetHolder(parse_key_set(issuer.public_keys())),
        expected=ExpectedClaims(audience="fillwire", issuer=issuer.address),
    )


def test_a_key_set_verifies_by_key_id_and_never_by_the_token_s_algorithm(
    issuer: TokenIssuer, key_set_tokens: KeySetTokens
) -> None:
    claims = {"sub": "alice", "exp": later(), "aud": "fillwire", "iss": issuer.address}
    key = issuer.keys["first"]
    bearer = key_set_tokens.verify(issuer.token("first"))

    assert bearer.subject == "demo"
    assert {bearer.key_id} == key_set_tokens.keys.keys.thumbprints

    for bad in (
        jwt.encode(claims, key, algorithm="ES256"),
        jwt.encode(claims, SECRET, algorithm="HS256", headers={"kid": "first"}),
        jwt.encode(claims, "", algorithm="none", headers={"kid": "first"}),
        issuer.token("first", key=new_key()),
        issuer.token("first", aud="another system"),
        issuer.token("first", aud=None),
        issuer.token("first", iss="https://another.issuer"),
        issuer.token("first", iss=None),
        "nonsense",
    ):
        with pytest.raises(InvalidTokenError) as refused:
            key_set_tokens.verify(bad)
        assert not isinstance(refused.value, UnknownKeyError)


def test_only_a_token_that_names_an_unknown_key_causes_a_read_of_the_issuer(
    issuer: TokenIssuer, key_set_tokens: KeySetTokens
) -> None:
    with pytest.raises(UnknownKeyError):
        key_set_tokens.verify(issuer.token("second", key=new_key()))


def test_a_key_removed_from_the_set_no_longer_verifies(issuer: TokenIssuer) -> None:
    held = KeySetHolder(parse_key_set(issuer.public_keys()))
    tokens = KeySetTokens(keys=held)
    signed_before = issuer.token("first")
    assert tokens.verify(signed_before).subject == "demo"

    held.replace(parse_key_set(key_set(public_entry(new_key(), "first"))))

    with pytest.raises(InvalidTokenError):
        tokens.verify(signed_before)


def test_without_keys_no_token_is_called_invalid(issuer: TokenIssuer) -> None:
    with pytest.raises(VerificationUnavailableError):
        KeySetTokens(keys=KeySetHolder()).verify(issuer.token("first"))


HEADER_VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=2), max_size=2)
)


@given(
    header=st.dictionaries(
        st.sampled_from(["kid", "alg", "typ", "crit", "b64", "jwk", "cty"]), HEADER_VALUES, max_size=4
    )
)
@example(header={"alg": ["ES256"]})
@example(header={"alg": {}})
@example(header={"kid": ["first"]})
def test_no_header_of_a_token_raises_anything_else(
    issuer: TokenIssuer, key_set_tokens: KeySetTokens, header: dict[str, object]
) -> None:
    _, payload, _ = issuer.token("first").split(".")
    forged = "A" * 86  # A decodable signature: otherwise the rest would not be checked.
    encoded = jwt.utils.base64url_encode(json.dumps({"alg": "ES256", "kid": "first"} | header).encode()).decode()

    with pytest.raises(InvalidTokenError):
        key_set_tokens.verify(f"{encoded}.{payload}.{forged}")


@given(
    claims=st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "aud", "iss", "jti", "scope"]), HEADER_VALUES)
)
def test_no_claims_raise_anything_else(claims: dict[str, object]) -> None:
    with suppress(InvalidTokenError):
        content = json.dumps({"sub": "a", "exp": later()} | claims).encode()
        TOKENS.verify(jwt.PyJWS().encode(content, SECRET, algorithm="HS256"))


async def test_a_token_with_leeway_left_is_still_taken(api: Api) -> None:
    await placed_id(api, bearer=token(ttl=timedelta(seconds=-1)))
