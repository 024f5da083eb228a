"""Requests as bytes: methods, headers and bodies that no client would send, and almost valid ones."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.cases import fuzz
from tests.fuzz.client import FuzzClient
from tests.support.system import APPLE, PLACE, token

NEWER = "application/graphql-response+json"
TOKEN = f"Bearer {token('demo')}"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.sampled_from(
    [
        PLACE + "fragment All on Order { id }",
        "query A($n: Int, $after: String) { orders(first: $n, after: $after) { nodes { id } } } query B { __typename }",
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        "query ($f: OrderFilter) { orders(filter: $f) { nodes { id } } }",
        "mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { __typename } }",
        "subscription { orderUpdates { kind } }",
        "{ __schema { types { name } } }",
        "{ a: __typename @include(if: false) }",
    ]
) | st.text(max_size=60)
ORDER: dict[str, Any] = {
    "clientOrderId": "fuzz",
    "isin": APPLE,
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "1",
    "limitPrice": "10.00",
    "timeInForce": "DAY",
}


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Generate the usual value, and the rare one in one case of eight: requests with two faults are refused for the
    first.
    """
    return st.integers(min_value=0, max_value=7).flatmap(lambda number: rare if number == 5 else usual)


@st.composite
def variables(draw: Callable[[st.SearchStrategy[Any]], Any]) -> object:
    """Generate an order with a member or two changed, or anything."""
    if draw(st.integers(min_value=0, max_value=7)) == 5:
        return draw(VALUES)
    order = dict(ORDER) | {"clientOrderId": draw(st.text("abcXYZ019._:-", min_size=1, max_size=48))}
    for name in draw(st.lists(st.sampled_from(sorted(order)), max_size=2)):
        order[name] = draw(VALUES)
    return {"input": order} | ({"waitMs": draw(VALUES)} if draw(st.booleans()) else {})


PERSISTED = st.fixed_dictionaries(
    {"version": mostly(st.just(1), VALUES), "sha256Hash": mostly(st.text("0123456789abcdef"), VALUES)}
)
EXTENSIONS = mostly(st.fixed_dictionaries({"persistedQuery": mostly(PERSISTED, VALUES)}), st.none() | VALUES)
NAMES = mostly(st.none() | st.sampled_from(["A", "B", "Place"]), VALUES)
GOOD = st.fixed_dictionaries(
    {"query": DOCUMENTS, "variables": variables()}, optional={"operationName": NAMES, "extensions": EXTENSIONS}
)
PAYLOADS = GOOD | st.fixed_dictionaries(
    {},
    optional={
        "query": mostly(DOCUMENTS, VALUES),
        "variables": VALUES,
        "operationName": VALUES,
        "extensions": EXTENSIONS,
        "documentId": st.text(max_size=8) | VALUES,
        "id": VALUES,
    },
)


@st.composite
def bodies(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """Bytes, JSON, almost a request, or one that is cut off or has a byte too many."""
    content = draw(mostly(GOOD, PAYLOADS | VALUES | st.lists(GOOD, max_size=2)))
    body = json.dumps(content, ensure_ascii=draw(st.booleans()))
    encoded = body.encode(errors="surrogatepass")
    match draw(st.integers(min_value=0, max_value=19)):
        case 10:
            return bytes(draw(st.binary(max_size=200)))
        case 11:
            return encoded[: draw(st.integers(min_value=0, max_value=len(encoded)))]
        case 12:
            return encoded + bytes(draw(st.binary(max_size=5)))
    return encoded


HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
TYPES = st.sampled_from(
    ["application/json", "application/graphql-response+json", "*/*", "text/html", "application/json;q=0", "a/b;q=1e9"]
)
HEADERS = st.fixed_dictionaries(
    {"authorization": mostly(st.just(TOKEN), st.sampled_from(["", "Bearer", "Bearer a.b.c"]) | HEADER_TEXT)},
    optional={
        "accept": mostly(st.sampled_from(["application/json", "*/*", NEWER]), TYPES | HEADER_TEXT),
        "origin": st.sampled_from(["https://desk.example", "null"]) | HEADER_TEXT,
        "content-encoding": mostly(st.just("identity"), st.just("gzip") | HEADER_TEXT),
        "x-forwarded-for": HEADER_TEXT,
        "cookie": HEADER_TEXT,
        "access-control-request-method": st.sampled_from(["POST", "PUT"]),
        "access-control-request-headers": HEADER_TEXT,
    },
)
CONTENT_TYPES = mostly(st.just("application/json"), st.just("application/json; charset=utf-16") | TYPES | HEADER_TEXT)
METHODS = mostly(st.just("POST"), st.sampled_from(["GET", "GET", "GET", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"]))
RunStory = Callable[[Callable[[FuzzClient], None]], Awaitable[None]]


@pytest.mark.timeout(3_600)
async def test_no_request_breaks_the_api_or_stores_an_order_without_an_acknowledgement(fuzz_by: RunStory) -> None:
    def story(client: FuzzClient) -> None:
        @fuzz
        @given(method=METHODS, headers=HEADERS, content_type=CONTENT_TYPES, body=bodies(), payload=PAYLOADS)
        def ask(method: str, headers: dict[str, str], content_type: str, body: bytes, payload: dict[str, Any]) -> None:
            target, sent = "/graphql", headers
            if method in {"GET", "HEAD"}:
                target += "?" + urlencode({name: _parameter(value) for name, value in payload.items()})
            else:
                sent = headers | {"content-type": content_type}
            answer = client.ask(method, target, sent, None if method in {"GET", "HEAD"} else body)
            client.check(answer, is_head=method == "HEAD" or _is_preflight(method, headers))

        ask()

    await fuzz_by(story)


def _parameter(value: object) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="surrogatepass")


def _is_preflight(method: str, headers: dict[str, str]) -> bool:
    """Return whether it is a CORS preflight, whose answer is not ours, and has no JSON."""
    return method == "OPTIONS" and {"origin", "access-control-request-method"} <= headers.keys()
