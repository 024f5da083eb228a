"""Tokens: which are valid. Scopes: what each allows, and that nothing is done without."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graph.auth.tokens import ExpectedClaims, HmacTokens, InvalidTokenError, read_bearer, read_key_set
from tests.support.api_server import ALL_SCOPES, SECRET, Api, token
from tests.support.graphql_orders import PLACE, limit_order, placed_id

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
    "with scopes in a list": signed({"sub": "a", "exp": later(), "scope": ["operator"]}),
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


def test_a_key_set_verifies_by_key_id_and_never_by_the_token_s_algorithm(tmp_path: Path) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private_key.public_key()))
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{**public, "kid": "first", "alg": "ES256", "use": "sig"}]}))
    tokens = read_key_set(path)
    claims = {"sub": "alice", "exp": later(), "scope": "orders:read"}

    good = jwt.encode(claims, private_key, algorithm="ES256", headers={"kid": "first"})
    assert tokens.verify(good).scopes == {"orders:read"}

    for bad in (
        jwt.encode(claims, private_key, algorithm="ES256", headers={"kid": "second"}),
        jwt.encode(claims, private_key, algorithm="ES256"),
        jwt.encode(claims, SECRET, algorithm="HS256", headers={"kid": "first"}),
        "nonsense",
    ):
        with pytest.raises(InvalidTokenError):
            tokens.verify(bad)


@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}']
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)

    with pytest.raises(ValueError):  # noqa: PT011 - whatever the file holds, this is how it is said
        read_key_set(tmp_path / "keys.json")


async def test_a_token_with_leeway_left_is_still_taken(api: Api) -> None:
    await placed_id(api, bearer=token(ttl=timedelta(seconds=-1)))
