"""Unexpected errors: masked for the client, logged once, and identified by their id."""

import asyncio

import pytest

from domain.model.errors import UnavailableError
from graph.settings import GraphSettings
from tests.support.api_instruments import APPLE
from tests.support.api_server import Api, running_api, token
from tests.support.api_world import World
from tests.support.graphql_orders import placed_id

ORDERS = "{ orders { nodes { id } } }"
CANCEL = "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }"


async def test_an_unexpected_error_is_masked_and_logged_once_under_its_id(api: Api) -> None:
    api.world.orders.failure = RuntimeError("password=hunter2")

    response = await api.post({"query": ORDERS})

    (logged,) = api.world.telemetry.said("unexpected_error")
    (error,) = (await response.json())["errors"]
    request_id = response.headers["x-request-id"]
    assert error["extensions"] == {"code": "INTERNAL", "errorId": logged["error_id"], "requestId": request_id}
    assert "hunter2" not in str(error)
    assert logged["exc_info"] is api.world.orders.failure
    assert logged["path"] == "orders"


async def test_an_unexpected_error_before_any_resolver_is_a_500_with_its_id(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = RuntimeError("password=hunter2")

    def fail(*_: object) -> None:
        raise failure

    # No known request ends here, so the last handler is tested by a failure between the layers.
    monkeypatch.setattr("graph.http.endpoint.context_for", fail)
    response = await api.post({"query": ORDERS})

    (logged,) = api.world.telemetry.said("unexpected_error")
    (error,) = (await response.json())["errors"]
    assert response.status == 500
    request_id = response.headers["x-request-id"]
    assert error["extensions"] == {"code": "INTERNAL", "errorId": logged["error_id"], "requestId": request_id}
    assert logged["error_id"] in error["message"]
    assert logged["exc_info"] is failure
    assert "hunter2" not in str(error)


async def test_an_answer_that_cannot_be_encoded_is_a_500_with_its_id_too(api: Api) -> None:
    # Half of a surrogate pair, which JSON can escape and UTF-8 cannot hold.
    response = await api.post({"query": "{ viewer { scopes } }"}, bearer=token(scopes=["\ud800"]))

    (logged,) = api.world.telemetry.said("unexpected_error")
    (error,) = (await response.json())["errors"]
    assert response.status == 500
    request_id = response.headers["x-request-id"]
    assert error["extensions"] == {"code": "INTERNAL", "errorId": logged["error_id"], "requestId": request_id}


async def test_an_instrument_that_vanished_is_an_unexpected_error_too(api: Api) -> None:
    await placed_id(api)
    del api.world.catalog.instruments[APPLE.isin]

    error = await api.error("{ orders { nodes { instrument { id } } } }")

    assert error["extensions"]["code"] == "INTERNAL"
    assert error["path"] == ["orders", "nodes", 0, "instrument"]


async def test_what_clients_do_wrong_is_not_logged(api: Api) -> None:
    for document in ("{", "{ nothing }", '{ instrument(isin: "x") { id } }', '{ orders(after: "x") { nodes { id } } }'):
        await api.error(document)

    assert api.world.telemetry.events == []


async def test_a_database_that_does_not_answer_is_reported(api: Api) -> None:
    api.world.orders.failure = UnavailableError()

    error = await api.error(ORDERS)

    assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfterMs": 1000}


async def test_an_error_in_a_subscription_is_masked_too(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.subscribe("subscription { orderUpdates { kind } }")
        await socket.next_data()
        api.world.feed.failure = RuntimeError("password=hunter2")
        await placed_id(api)

        message = await socket.receive()
        if message["payload"].get("data"):
            message = await socket.receive()

        assert message["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert "hunter2" not in str(message)
        assert (await socket.receive())["type"] == "complete"
    assert len(api.world.telemetry.said("unexpected_error")) == 1


async def test_an_operation_that_takes_too_long_is_ended() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async with running_api(World(settings=GraphSettings(operation_timeout_seconds=0.5))) as api:
        order_id = await placed_id(api)
        api.world.orders.interruptions.append(hang)

        error = await api.error(CANCEL, {"id": order_id})

        assert error["extensions"] == {"code": "TIMED_OUT"}


async def test_a_subscription_that_cannot_begin_in_time_fails_and_does_not_complete() -> None:
    async with running_api(World(settings=GraphSettings(operation_timeout_seconds=0.05))) as api:
        api.world.feed.opens.clear()
        async with api.conversation() as socket:
            await socket.subscribe("subscription { orderUpdates { kind } }")
            message = await socket.receive()

    # A client treats `next` with errors and `complete` as the end of the stream, and stops following.
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"] == {"code": "TIMED_OUT"}


async def test_names_are_not_suggested_outside_development(api: Api) -> None:
    error = await api.error('{ order(id: "x") { idd } }')

    assert "Did you mean" not in error["message"]
