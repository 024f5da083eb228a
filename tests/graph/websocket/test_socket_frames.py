"""The rules of graphql-transport-ws (graphql-ws, PROTOCOL.md of July 2026) and of RFC 6455, one test for each, by raw
frames against the server as the API process configures it."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from graph.settings import GraphSettings
from tests.support.api_server import LIMITS, Api, running_api, token, until
from tests.support.api_world import World
from tests.support.graphql_orders import PLACE, limit_order, placed_id
from tests.support.raw_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    frame,
    init,
    raw_conversation,
    raw_socket,
    subscribe,
    text,
)

VIEWER = "{ viewer { accountId } }"
UPDATES = "subscription { orderUpdates { kind } }"
CHECKPOINT = {"type": "next", "payload": {"data": {"orderUpdates": {"kind": "CHECKPOINT"}}}}
ANSWER = {"type": "next", "payload": {"data": {"viewer": {"accountId": "alice"}}}}


# The introduction


async def test_the_connection_is_acknowledged_once_and_before_anything_else(api: Api) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text(init()), subscribe(VIEWER))

        assert await socket.receive() == {"type": "connection_ack"}
        assert await socket.receive() == {"id": "1", **ANSWER}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        assert await socket.messages_until_closed() == []


@pytest.mark.parametrize("payload", [None, {}, {"other": 1}])
async def test_an_introduction_without_a_token_is_unauthorized_and_not_malformed(api: Api, payload: object) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text({"type": "connection_init", "payload": payload}))

        assert await socket.closed() == (
            4401,
            'Unauthorized: connection_init needs the payload {"Authorization": "Bearer <token>"}',
        )


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Basic YTpi", 'needs the payload {"Authorization": "Bearer <token>"}'),
        ("Bearer nonsense", "the token in connection_init is not valid"),
        (f"Bearer {token(ttl=timedelta(minutes=-1))}", "has expired or was revoked; send a new one"),
    ],
)
async def test_a_refused_introduction_says_what_was_expected(api: Api, authorization: str, said: str) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text({"type": "connection_init", "payload": {"Authorization": authorization}}))

        code, reason = await socket.closed()

    assert code == 4401
    assert reason.startswith("Unauthorized: ")
    assert said in reason


async def test_two_connection_inits_in_one_write_close_with_4429(api: Api) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text(init()), text(init()))

        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_a_subscription_before_the_acknowledgement_closes_with_4401(api: Api) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(subscribe(VIEWER), text(init()))

        assert await socket.closed() == (4401, "Unauthorized")


async def test_without_connection_init_in_time_the_socket_closes_with_4408_for_any_other_messages() -> None:
    async with (
        running_api(World(settings=GraphSettings(socket_init_timeout_seconds=0.2))) as api,
        raw_socket(api.port) as socket,
    ):
        await socket.send(text({"type": "ping"}), text({"type": "pong"}), text({"id": "1", "type": "complete"}))

        assert await socket.receive() == {"type": "pong"}
        assert await socket.closed() == (4408, "Connection initialisation timeout")


# Pings


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"at": 1}}])
async def test_a_ping_is_answered_at_any_time(api: Api, payload: dict[str, object]) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text({"type": "ping", **payload}))
        assert (await socket.receive())["type"] == "pong"
        await socket.introduce()
        await socket.send(subscribe(UPDATES), text({"type": "ping", **payload}))

        assert {(await socket.receive())["type"] for _ in range(2)} == {"next", "pong"}


async def test_an_unsolicited_pong_is_ignored(api: Api) -> None:
    async with raw_socket(api.port) as socket:
        await socket.send(text({"type": "pong"}), text({"type": "pong", "payload": {"a": 1}}), text({"type": "ping"}))

        assert await socket.receive() == {"type": "pong"}


async def test_a_ping_of_the_wire_is_answered_with_its_payload(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(frame(b"still there?", opcode=PING))

        assert await socket.next_frame() == Frame(opcode=PONG, payload=b"still there?")


# Operations


async def test_a_single_result_is_followed_by_complete(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(VIEWER))

        assert [await socket.receive(), await socket.receive()] == [
            {"id": "1", **ANSWER},
            {"id": "1", "type": "complete"},
        ]


async def test_operations_interleave_on_one_socket(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(UPDATES, key="stream"))
        assert await socket.receive() == {"id": "stream", **CHECKPOINT}

        await socket.send(subscribe(VIEWER, key="query"))

        assert [(await socket.receive())["id"] for _ in range(2)] == ["query", "query"]


async def test_every_error_ends_the_operation_without_complete(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe("{ nothing }"))
        message = await socket.receive()

        assert (message["id"], message["type"]) == ("1", "error")
        assert await socket.messages_until_closed() == []


async def test_an_id_is_free_again_after_an_error(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe("{"))
        assert (await socket.receive())["type"] == "error"
        await socket.send(subscribe(VIEWER))

        assert await socket.receive() == {"id": "1", **ANSWER}


async def test_an_id_is_free_again_after_the_server_s_complete(api: Api) -> None:
    async with raw_conversation(api) as socket:
        for _ in range(2):
            await socket.send(subscribe(VIEWER))
            assert await socket.receive() == {"id": "1", **ANSWER}
            assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_an_id_is_free_again_right_after_the_client_s_complete(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(UPDATES))
        assert await socket.receive() == {"id": "1", **CHECKPOINT}
        await socket.send(text({"id": "1", "type": "complete"}), subscribe(VIEWER))

        assert await socket.receive() == {"id": "1", **ANSWER}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_after_the_clients_complete_nothing_is_sent_for_that_operation(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(UPDATES), subscribe(UPDATES, key="other"))
        assert {(await socket.receive())["id"] for _ in range(2)} == {"1", "other"}

        await socket.send(text({"id": "1", "type": "complete"}))
        await until(lambda: api.world.feed.open_feeds == 1)
        await placed_id(api)

        assert (await socket.receive())["id"] == "other"
        assert await socket.messages_until_closed() == []


async def test_a_mutation_that_is_completed_before_its_answer_stays_unanswered(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(
            subscribe(PLACE, variables={"input": limit_order()}),
            text({"id": "1", "type": "complete"}),
            text({"type": "ping"}),
        )

        answers = [await socket.receive(), *await socket.messages_until_closed()]

    # It may have been answered before the complete was read; then the answer is complete, and precedes the pong.
    kinds = [answer["type"] for answer in answers]
    assert kinds in (["pong"], ["next", "complete", "pong"])


@pytest.mark.parametrize("operation", ["never there", "1"])
async def test_complete_of_an_operation_that_is_not_there_is_ignored(api: Api, operation: str) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(VIEWER))
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.send(text({"id": operation, "type": "complete"}), text({"type": "ping"}))

        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize("key", ["1", "ä" * 128])
async def test_an_id_in_use_closes_with_4409_for_any_length(api: Api, key: str) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(UPDATES, key=key))
        assert (await socket.receive())["type"] == "next"
        await socket.send(subscribe(VIEWER, key=key))

        code, reason = await socket.closed()

    assert code == 4409
    assert reason.startswith("Subscriber for ")


async def test_what_a_client_adds_in_extensions_is_taken(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(VIEWER, extensions={"trace": "abc"}, operationName=None, variables=None))

        assert await socket.receive() == {"id": "1", **ANSWER}


async def test_a_failure_of_ours_in_an_operation_is_an_error_and_not_its_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_conversation(api) as socket:
        monkeypatch.setattr("graph.schema.build.Schema.stream", _fail)
        await socket.send(subscribe(UPDATES), text({"type": "ping"}))

        messages = sorted([await socket.receive(), await socket.receive()], key=lambda message: message["type"])

    assert [message["type"] for message in messages] == ["error", "pong"]
    assert messages[0]["payload"][0]["extensions"]["code"] == "INTERNAL"


async def test_a_failure_of_ours_in_the_conversation_closes_with_4500(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.auth.tokens.HmacTokens.verify", _fail)
    async with raw_socket(api.port) as socket:
        await socket.send(text(init()))

        assert await socket.closed() == (4500, "Internal error")
    assert api.world.telemetry.said("unexpected_error")


# Frames


async def test_a_message_in_fragments_is_one_message(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(
            frame(b'{"type"', is_last=False),
            frame(b"", opcode=CONTINUATION, is_last=False),
            frame(b"", opcode=PING),
            frame(b':"ping"}', opcode=CONTINUATION),
        )

        assert (await socket.next_frame()).opcode == PONG
        assert await socket.receive() == {"type": "pong"}


async def test_a_frame_that_arrives_byte_by_byte_is_one_frame(api: Api) -> None:
    async with raw_conversation(api) as socket:
        for byte in text({"type": "ping"}):
            await socket.send(bytes([byte]))

        assert await socket.receive() == {"type": "pong"}


async def test_a_binary_frame_closes_with_4400(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(frame(b'{"type":"ping"}', opcode=BINARY))

        assert await socket.closed() == (4400, "WebSocket message type must be text")


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_message_that_is_too_large_closes_with_1009(api: Api, is_streaming: bool) -> None:
    async with raw_conversation(api) as socket:
        if is_streaming:
            await socket.send(subscribe(UPDATES))
            await socket.receive()
        await socket.send(subscribe(VIEWER + " " * 10 * LIMITS.message_max_bytes))

        code, _ = await socket.closed()

    assert code == 1009
    await until(lambda: api.world.feed.open_feeds == 0)


async def test_a_message_whose_fragments_are_too_large_together_closes_with_1009(api: Api) -> None:
    async with raw_conversation(api) as socket:
        piece = b" " * (LIMITS.message_max_bytes // 2 + 1)
        await socket.send(frame(piece, is_last=False), frame(piece, opcode=CONTINUATION))

        assert (await socket.closed())[0] == 1009


async def test_a_message_of_endlessly_many_fragments_closes_with_1009() -> None:
    limits = replace(LIMITS, frames_per_second=100_000, frames_burst=100_000)
    async with running_api(limits=limits) as api, raw_conversation(api) as socket:
        await socket.send(frame(b"", is_last=False), frame(b"", opcode=CONTINUATION, is_last=False) * 2_000)

        assert await socket.closed() == (1009, "A message may have 1024 fragments")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(b'{"type":"ping","payload":{"a":"\xff"}}'), 1007, id="no UTF-8"),
        pytest.param(frame(b"\xff") + frame(b"", opcode=PING), 1007, id="no UTF-8, and a ping"),
        pytest.param(frame(b"x", is_masked=False), 1002, id="no mask"),
        pytest.param(frame(b"x", reserved=4), 1002, id="compressed"),
        pytest.param(frame(b"x", opcode=0x3), 1002, id="unknown opcode"),
        pytest.param(frame(b"x", opcode=CONTINUATION), 1002, id="nothing to continue"),
        pytest.param(frame(b"x" * 126, opcode=PING), 1002, id="long ping"),
        pytest.param(frame(b"x", opcode=PING, is_last=False), 1002, id="ping in fragments"),
        pytest.param(frame(b"x", opcode=CLOSE), 1002, id="half a close code"),
        pytest.param(frame(b"x", is_last=False) + frame(b"x"), 1002, id="a message within another"),
    ],
)
async def test_a_frame_that_breaks_rfc_6455_closes_with_its_code_and_without_a_traceback(
    api: Api, sent: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(sent)

        assert (await socket.closed())[0] == code
    assert _tracebacks(caplog) == []


@pytest.mark.parametrize("opcode", [TEXT, PING, PONG])
async def test_more_frames_than_allowed_close_with_4429_before_they_cost_anything(api: Api, opcode: int) -> None:
    message = frame(b'{"type":"pong"}', opcode=opcode)
    async with raw_conversation(api) as socket:
        await socket.send(message * LIMITS.frames_burst * 20)

        assert await socket.closed() == (4429, f"More than {LIMITS.frames_per_second} messages a second")
        await socket.ended()


async def test_the_allowed_number_of_messages_is_answered(api: Api) -> None:
    allowed = LIMITS.frames_burst - 2  # The handshake and the introduction count too.
    async with raw_conversation(api) as socket:
        await socket.send(text({"type": "ping"}) * allowed)

        for _ in range(allowed):
            assert await socket.receive() == {"type": "pong"}


async def test_a_close_is_answered_and_the_connection_ended(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(subscribe(UPDATES))
        await socket.receive()

        assert await socket.messages_until_closed() == []
        await socket.ended()
    await until(lambda: api.world.feed.open_feeds == 0)


async def test_who_answers_no_close_is_cut_off_soon(api: Api) -> None:
    async with raw_conversation(api) as socket:
        await socket.send(text([]))
        assert (await socket.closed())[0] == 4400

        await socket.ended()


# The handshake


async def test_messages_are_never_compressed(api: Api) -> None:
    async with raw_socket(api.port, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits") as socket:
        assert "sec-websocket-extensions" not in socket.head.lower()


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws", "unknown", "graphql-ws, unknown"])
async def test_without_the_subprotocol_the_socket_closes_with_4406(api: Api, subprotocol: str | None) -> None:
    async with raw_socket(api.port, subprotocol=subprotocol) as socket:
        assert "sec-websocket-protocol" not in socket.head.lower()
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


async def test_of_several_subprotocols_the_one_that_is_spoken_is_chosen(api: Api) -> None:
    async with raw_socket(api.port, subprotocol="graphql-ws, graphql-transport-ws") as socket:
        assert "sec-websocket-protocol: graphql-transport-ws" in socket.head.lower()
        await socket.introduce(token())


def _tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def _fail(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("nobody foresaw this")
