"""Valid and invalid actions of a client on a socket: the steps from which Hypothesis builds conversations."""

import struct
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
from hypothesis import strategies as st

from tests.support.api_server import LIMITS, token
from tests.support.graphql_orders import PLACE, limit_order
from tests.support.raw_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, init

ACCOUNT = "fuzz"
ALLOWED, REFUSED = "allowed-", "refused-"
"""How the client order ids begin of orders that may be stored, and of orders that never may."""
IDS = ("a", "b", "ü" * 128)
GOOD = token(ACCOUNT)
BAD_TOKENS = (token(ACCOUNT, exp=1), token(ACCOUNT)[:-2] + "xx", " ", "x.y.z", "ü")
UNFIT = ({"quantity": "-1"}, {"quantity": 10}, {"isin": "x"}, {"side": "HOLD"}, {"more": 1})
QUERIES = (
    "{ viewer { accountId } }",
    "subscription { orderUpdates { kind } }",
    'subscription { orderStatus(orderId: "ord_1") { kind } }',
    "{ nothing }",
    "{",
    "query A { viewer { accountId } } query B { viewer { scopes } }",
    "{ " + "a" * 20_000 + " }",
    "{" * 500,
)


class Leaving(Enum):
    """How a conversation ends."""

    POLITELY = auto()
    BY_RESET = auto()
    BY_HALF_CLOSE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Chunks of bytes, each sent by one write, and how the client disconnects."""

    pieces: tuple[bytes, ...]
    leaving: Leaving


_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def _subscriptions(draw: st.DrawFn) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "query": draw(st.sampled_from(QUERIES)),
        "variables": None,
        "operationName": None,
        "extensions": {},
    }
    return {"id": draw(st.sampled_from(IDS)), "type": "subscribe", "payload": payload}


@st.composite
def _placements(draw: st.DrawFn) -> dict[str, Any]:
    order = limit_order(ALLOWED + draw(st.sampled_from("xyz")))
    if draw(st.booleans()):
        changes: dict[str, Any] = draw(st.sampled_from(UNFIT))
        order = limit_order(REFUSED + draw(st.sampled_from("xyz")), **changes)
    payload = {"query": PLACE, "variables": {"input": order}}
    return {"id": draw(st.sampled_from(IDS)), "type": "subscribe", "payload": payload}


_messages = st.one_of(
    st.just(init(GOOD)),
    st.sampled_from([init(bad) for bad in BAD_TOKENS]),
    st.sampled_from([{"type": "ping"}, {"type": "pong"}, {"type": "ping", "payload": {"at": 1}}]),
    _subscriptions(),
    _placements(),
    st.builds(lambda key: {"id": key, "type": "complete"}, st.sampled_from(IDS)),
)


@st.composite
def _near_messages(draw: st.DrawFn) -> object:
    """Generate a message with one member changed, left out or added."""
    message = deepcopy(draw(_messages.filter(lambda message: message.get("payload", {}).get("query") != PLACE)))
    target = message["payload"] if "payload" in message and draw(st.booleans()) else message
    key = draw(st.sampled_from([*target, "type", "id", "payload", "query", "extensions"]))
    if draw(st.booleans()):
        target.pop(key, None)
    else:
        target[key] = draw(_json)
    return message


def _text(message: object) -> bytes:
    return frame(orjson.dumps(message))


@st.composite
def _fragmented(draw: st.DrawFn) -> bytes:
    body = orjson.dumps(draw(_messages))
    cut = draw(st.integers(0, len(body)))
    between = draw(st.sampled_from([b"", frame(b"", opcode=PING), frame(b"", opcode=CONTINUATION, is_last=False)]))
    return frame(body[:cut], is_last=False) + between + frame(body[cut:], opcode=CONTINUATION)


@st.composite
def _odd_frames(draw: st.DrawFn) -> bytes:
    return frame(
        draw(st.binary(max_size=200)),
        opcode=draw(st.integers(0, 15)),
        is_last=draw(st.booleans()),
        is_masked=draw(st.booleans()),
        reserved=draw(st.integers(0, 7)),
    )


_good = _messages.map(_text)
_bad = st.one_of(
    _near_messages().map(_text),
    _json.map(_text),
    st.text(max_size=40).map(lambda said: frame(said.encode(errors="replace"))),
    st.binary(max_size=40).map(frame),
    st.binary(max_size=40).map(lambda body: frame(body, opcode=BINARY)),
    _fragmented(),
    _odd_frames(),
    st.binary(max_size=200),
    st.sampled_from([TEXT, BINARY]).map(lambda kind: frame(b"x" * (LIMITS.message_max_bytes + 1), opcode=kind)),
    st.just(frame(b" " * 3 * LIMITS.message_max_bytes)),
    st.sampled_from([TEXT, PING, PONG]).map(
        lambda kind: frame(b'{"type":"pong"}', opcode=kind) * (LIMITS.frames_burst + 100)
    ),
    st.integers(0, 65_535).map(lambda code: frame(struct.pack("!H", code), opcode=CLOSE)),
)
_pieces = st.lists(st.one_of(_good, _good, _bad), max_size=8)

conversations = st.builds(
    lambda introduced, pieces, is_at_one_go, leaving: Conversation(
        pieces=(b"".join(introduced + pieces),) if is_at_one_go else tuple(introduced + pieces), leaving=leaving
    ),
    st.sampled_from([[], [_text(init(GOOD))], [_text(init(GOOD))]]),
    _pieces,
    st.booleans(),
    st.sampled_from([Leaving.POLITELY, Leaving.POLITELY, *Leaving]),
)
