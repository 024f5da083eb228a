"""A complete answer is sent by one write, with exactly the bytes that uvicorn writes in two."""

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from runtime.server.answer_cycle import AnswerCycle

DEFAULTS = [(b"date", b"Sat, 28 Nov 2026 13:00:00 GMT")]
OTHERS = st.sampled_from(
    [
        (b"Cache-Control", b"no-store"),
        (b"allow", b"GET, POST"),
        (b"connection", b"close"),
        (b"Connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"bad name", b"x"),
        (b"x-split", b"a\r\nset-cookie: b"),
        (b"content-length", b"1"),
    ]
)


class Wire(asyncio.Transport):
    """Collects written bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]  # only bytes are written here
        self.writes.append(data)

    def close(self) -> None:
        self.is_closed = True


async def answered(
    kind: type[RequestResponseCycle], messages: list[dict[str, Any]], *, method: str, keep_alive: bool
) -> tuple[list[bytes], tuple[object, ...]]:
    """Return the bytes written for these messages, and the remaining state."""
    wire, reported = Wire(), list[str]()
    cycle = RequestResponseCycle(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]  # no other key is used
        transport=wire,
        flow=FlowControl(wire),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=DEFAULTS,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: reported.append("complete"),
    )
    cycle.__class__ = kind
    error = ""
    try:
        for message in messages:
            await cycle.send(message)  # type: ignore[arg-type]  # wrong ones too
    except RuntimeError as raised:
        error = str(raised)
    state = (cycle.response_complete, cycle.keep_alive, cycle.message_event.is_set(), wire.is_closed, reported, error)
    return wire.writes, state


USUAL: dict[str, Any] = {
    "body": b"x",
    "others": [],
    "status": 200,
    "has_length": True,
    "parts": 1,
    "method": "POST",
    "keep_alive": True,
}


@example(**USUAL)
@example(**USUAL | {"method": "HEAD"})
@example(**USUAL | {"status": 204})
@example(**USUAL | {"keep_alive": False})
@example(**USUAL | {"parts": 2})
@example(**USUAL | {"has_length": False})
@example(**USUAL | {"others": [(b"connection", b"close")]})
@example(**USUAL | {"others": [(b"x-split", b"a\r\nset-cookie: b")]})
@given(
    body=st.binary(max_size=20),
    others=st.lists(OTHERS, max_size=3),
    status=st.sampled_from([200, 204, 304, 400, 413, 503]),
    has_length=st.booleans(),
    parts=st.integers(1, 2),
    method=st.sampled_from(["POST", "GET", "HEAD"]),
    keep_alive=st.booleans(),
)
def test_every_answer_is_the_one_that_uvicorn_writes(  # noqa: PLR0917  # hypothesis names them all
    body: bytes,
    others: list[tuple[bytes, bytes]],
    status: int,
    has_length: bool,  # as above
    parts: int,
    method: str,
    keep_alive: bool,  # as above
) -> None:
    length = [(b"content-length", b"%d" % len(body))] if has_length else []
    messages: list[dict[str, Any]] = [
        {"type": "http.response.start", "status": status, "headers": [*length, *others]},
        {"type": "http.response.body", "body": body, "more_body": parts > 1},
    ]
    if parts > 1:
        messages.append({"type": "http.response.body", "body": b"", "more_body": False})

    theirs = asyncio.run(answered(RequestResponseCycle, messages, method=method, keep_alive=keep_alive))
    ours = asyncio.run(answered(AnswerCycle, messages, method=method, keep_alive=keep_alive))

    assert b"".join(ours[0]) == b"".join(theirs[0])
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("status", [200, 401])
async def test_a_whole_answer_is_one_write(status: int) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]},
        {"type": "http.response.body", "body": b"{}"},
    ]

    writes, _ = await answered(AnswerCycle, messages, method="POST", keep_alive=True)

    assert len(writes) == 1
