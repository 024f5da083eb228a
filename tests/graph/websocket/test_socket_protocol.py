"""graphql-transport-ws frame by frame: what is accepted, and what closes the socket with which code."""

from contextlib import suppress
from datetime import timedelta

import pytest
import websockets

from tests.support.api_server import Api, Json, token
from tests.support.graphql_orders import limit_order, placed_id

VIEWER = "{ viewer { accountId } }"
UPDATES = "subscription { orderUpdates { kind } }"


def init(payload: object) -> Json:
    return {"type": "connection_init", "payload": payload}


def subscribe(**changes: object) -> Json:
    return {"id": "1", "type": "subscribe", "payload": {"query": VIEWER}, **changes}


async def test_the_bearer_of_a_valid_token_is_accepted_and_answered(api: Api) -> None:
    async with api.conversation(token("bob")) as socket:
        await socket.subscribe(VIEWER)

        assert await socket.next_data() == {"viewer": {"accountId": "bob"}}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_an_empty_name_of_an_operation_is_none_as_it_is_over_http(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.send(subscribe(payload={"query": VIEWER, "operationName": ""}))

        assert await socket.next_data() == {"viewer": {"accountId": "alice"}}


async def test_an_order_can_be_placed_over_the_socket_too(api: Api) -> None:
    document = "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename } }"
    async with api.conversation() as socket:
        await socket.subscribe(document, {"input": limit_order()})

        assert await socket.next_data() == {"placeOrder": {"__typename": "PlaceOrderSuccess"}}


async def test_the_header_s_name_may_be_written_small(api: Api) -> None:
    async with api.socket() as socket:
        await socket.send(init({"authorization": f"bearer {token()}"}))

        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "connection_init"},
        init(None),
        init({}),
        init({"Authorization": "Bearer nonsense"}),
        init({"Authorization": 5}),
        init({"Authorization": f"Bearer {token(ttl=timedelta(minutes=-1))}"}),
        subscribe(),
    ],
)
async def test_without_a_valid_token_the_socket_closes_with_4401(api: Api, message: Json) -> None:
    async with api.socket() as socket:
        await socket.send(message)

        assert await socket.closed() == 4401


@pytest.mark.parametrize(
    "message",
    [
        [1],
        "x",
        None,
        3,
        {},
        {"type": None},
        {"type": ["ping"]},
        {"type": "unknown" * 100},
        init("x"),
        init([1]),
        {"type": "ping", "payload": "x"},
        subscribe(id=1),
        subscribe(id=""),
        subscribe(id=None),
        subscribe(id={"a": 1}),
        subscribe(id="x" * 1_000),
        subscribe(payload=None),
        subscribe(payload="x"),
        subscribe(payload={}),
        subscribe(payload={"query": 5}),
        subscribe(payload={"query": ""}),
        subscribe(payload={"query": VIEWER, "variables": "abc"}),
        subscribe(payload={"query": VIEWER, "variables": []}),
        subscribe(payload={"query": VIEWER, "operationName": 5}),
        {"type": "complete"},
        {"type": "complete", "id": 5},
    ],
)
async def test_a_message_of_the_wrong_shape_closes_the_socket_with_4400(api: Api, message: object) -> None:
    async with api.conversation() as socket:
        await socket.send(message)

        assert await socket.closed() == 4400
    assert not api.world.telemetry.said("unexpected_error")


@pytest.mark.parametrize("frame", ["{", "NaN", "[" * 5_000, b"\x00\x01", '{"type":"ping","payload":{"a":NaN}}'])
async def test_a_frame_that_is_no_json_text_closes_the_socket_with_4400(api: Api, frame: str | bytes) -> None:
    async with api.conversation() as socket:
        await socket.connection.send(frame)

        assert await socket.closed() == 4400


async def test_pings_are_answered_before_and_after_the_introduction(api: Api) -> None:
    async with api.socket() as socket:
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}
        await socket.introduce(token())
        await socket.send({"type": "ping", "payload": None})
        assert await socket.receive() == {"type": "pong"}


async def test_a_second_introduction_closes_the_socket_with_4429(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.send(init({"Authorization": f"Bearer {token()}"}))

        assert await socket.closed() == 4429


async def test_an_id_in_use_closes_the_socket_with_4409(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES)
        await socket.next_data()
        await socket.subscribe(UPDATES)

        assert await socket.closed() == 4409


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "subscription {"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "subscription { nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": VIEWER, "operationName": "Other"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": 'subscription { orderUpdates(after: "x") { kind } }'}, "BAD_CURSOR"),
        ({"query": 'subscription { orderStatus(orderId: "x", afterVersion: 1) { kind } }'}, "ORDER_NOT_FOUND"),
        (
            {"query": f'subscription {{ orderStatus(orderId: "ord_{"0" * 32}", afterVersion: -1) {{ kind }} }}'},
            "BAD_USER_INPUT",
        ),
    ],
)
async def test_an_error_in_one_operation_does_not_affect_the_others_on_the_socket(
    api: Api, payload: Json, code: str
) -> None:
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES, key="good")
        await socket.next_data()

        await socket.send({"id": "bad", "type": "subscribe", "payload": payload})
        message = await socket.receive()
        await placed_id(api)
        update = await socket.receive()

    assert (message["id"], message["type"]) == ("bad", "error")
    assert message["payload"][0]["extensions"]["code"] == code
    assert update == {"id": "good", "type": "next", "payload": {"data": {"orderUpdates": {"kind": "CHANGE"}}}}


async def test_only_the_current_protocol_is_spoken(api: Api) -> None:
    async with api.socket(subprotocols=()) as socket:
        assert await socket.closed() == 4406
    with suppress(websockets.NegotiationError, websockets.InvalidHandshake):
        async with api.socket(subprotocols=("graphql-ws",)) as socket:
            assert await socket.closed() == 4406


async def test_a_page_of_another_origin_is_refused_at_the_handshake(api: Api) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with api.socket(origin=websockets.Origin("https://evil.example")):
            pass

    assert refused.value.response.status_code == 403
