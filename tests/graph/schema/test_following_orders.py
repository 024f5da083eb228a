"""Subscriptions: the snapshot, then each change once and in order, from the client's position."""

from contextlib import AsyncExitStack

from domain.ports.telemetry import Metric
from graph.schema.cursors import write_stream_cursor
from graph.settings import GraphSettings
from tests.support.api_server import Api, Json, Socket, running_api
from tests.support.api_world import START, World
from tests.support.examples import accepted, busted, corrected, filled
from tests.support.graphql_orders import key_of, placed_id
from tests.support.processes import eventually

STATUS = """
subscription Follow($id: ID!, $after: Int) {
  orderStatus(orderId: $id, afterVersion: $after) {
    kind
    order { id status version filledQuantity instrument { symbol } }
    change { kind version status execution { quantity } }
  }
}
"""
WHOLE = """
subscription Follow($after: String) {
  orderUpdates(after: $after) {
    change { kind version }
    order {
      version filledQuantity
      executions { nodes { quantity price } }
      history { nodes { version } }
      placement { attempts lastAttemptAt lastError }
    }
  }
}
"""
UPDATES = """
subscription Follow($after: String) {
  orderUpdates(after: $after) { kind cursor order { clientOrderId version } change { kind } }
}
"""


async def updates(socket: Socket, count: int, field: str) -> list[Json]:
    return [(await socket.next_data())[field] for _ in range(count)]


async def test_an_order_is_followed_from_its_snapshot_to_its_end(api: Api) -> None:
    order_id = await placed_id(api)
    async with api.conversation() as socket:
        await socket.subscribe(STATUS, {"id": order_id})
        (snapshot,) = await updates(socket, 1, "orderStatus")
        await api.world.report(key_of(order_id), accepted())
        await api.world.report(key_of(order_id), filled("4"), filled("6", name="fill-2"))
        changes = await updates(socket, 3, "orderStatus")
        end = await socket.receive()

    assert snapshot["kind"] == "SNAPSHOT"
    assert snapshot["change"] is None
    assert snapshot["order"] == {
        "id": order_id,
        "status": "PENDING",
        "version": 1,
        "filledQuantity": "0",
        "instrument": {"symbol": "AAPL"},
    }
    assert [change["kind"] for change in changes] == ["CHANGE"] * 3
    assert [change["order"]["version"] for change in changes] == [2, 3, 4]
    assert [change["order"]["status"] for change in changes] == ["PLACED", "PARTIALLY_FILLED", "FILLED"]
    assert changes[1]["change"] == {
        "kind": "FILL",
        "version": 3,
        "status": "PARTIALLY_FILLED",
        "execution": {"quantity": "4"},
    }
    assert end == {"id": "1", "type": "complete"}
    assert api.world.feed.open_feeds == 0


async def test_missed_changes_are_sent_instead_of_the_snapshot(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), accepted(), filled("4"))
    async with api.conversation() as socket:
        await socket.subscribe(STATUS, {"id": order_id, "after": 1})

        missed = await updates(socket, 2, "orderStatus")

    assert [(update["kind"], update["order"]["version"]) for update in missed] == [("CHANGE", 2), ("CHANGE", 3)]


async def test_a_replayed_change_shows_the_order_as_it_stood_then(api: Api) -> None:
    key = key_of(await placed_id(api))
    await api.world.report(key, accepted(), filled("4", name="e-1", price="5"))
    await api.world.report(key, corrected("3", name="e-1", price="5"), filled("2", name="e-2", price="6"))
    await api.world.report(key, busted("e-2"))
    (row,) = api.world.orders.rows.values()
    row.attempts, row.last_attempt_at, row.last_error = 1, START, "The answer was lost."

    async with api.conversation() as socket:
        await socket.subscribe(WHOLE, {"after": write_stream_cursor(0)})
        _, *replayed = await updates(socket, 7, "orderUpdates")

    orders = [update["order"] for update in replayed]
    assert [[(one["quantity"], one["price"]) for one in order["executions"]["nodes"]] for order in orders] == [
        [],
        [],
        [("4", "5")],
        [("3", "5")],
        [("3", "5"), ("2", "6")],
        [("3", "5")],
    ]
    assert [order["filledQuantity"] for order in orders] == ["0", "0", "4", "3", "5", "3"]
    for order in orders:
        versions = [change["version"] for change in order["history"]["nodes"]]
        assert versions == list(range(1, order["version"] + 1))
    assert orders[0]["placement"] == {"attempts": 0, "lastAttemptAt": None, "lastError": None}


async def test_a_final_order_gives_its_snapshot_and_completes(api: Api) -> None:
    order_id = await placed_id(api)
    await api.world.report(key_of(order_id), filled("10"))
    async with api.conversation() as socket:
        await socket.subscribe(STATUS, {"id": order_id})

        assert (await socket.next_data())["orderStatus"]["order"]["status"] == "FILLED"
        assert (await socket.receive())["type"] == "complete"


async def test_the_stream_of_an_account_starts_at_a_checkpoint_and_can_be_resumed_from_any_cursor(api: Api) -> None:
    await placed_id(api, "before")
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES)
        (checkpoint,) = await updates(socket, 1, "orderUpdates")
        first = await placed_id(api, "first")
        await placed_id(api, "second")
        await api.world.report(key_of(first), accepted())
        seen = await updates(socket, 3, "orderUpdates")
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES, {"after": seen[0]["cursor"]})
        resumed = await updates(socket, 3, "orderUpdates")

    assert (checkpoint["kind"], checkpoint["order"], checkpoint["change"]) == ("CHECKPOINT", None, None)
    assert [(update["order"]["clientOrderId"], update["change"]["kind"]) for update in seen] == [
        ("first", "RECEIVED"),
        ("second", "RECEIVED"),
        ("first", "PLACED"),
    ]
    assert resumed[0] == {"kind": "CHECKPOINT", "cursor": seen[0]["cursor"], "order": None, "change": None}
    assert resumed[1:] == seen[1:]


async def test_a_stream_whose_past_is_gone_is_reset(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES)
        (checkpoint,) = await updates(socket, 1, "orderUpdates")
        await socket.send({"id": "1", "type": "complete"})
        await placed_id(api, "first")
        api.world.feed.kept_after = 1
        await socket.subscribe(UPDATES, {"after": checkpoint["cursor"]}, key="2")

        (reset,) = await updates(socket, 1, "orderUpdates")
        await placed_id(api, "second")
        (change,) = await updates(socket, 1, "orderUpdates")

    assert reset["kind"] == "RESET"
    assert change["order"]["clientOrderId"] == "second"


async def test_an_instrument_is_never_older_than_the_update_that_shows_it(api: Api) -> None:
    order_id = await placed_id(api)
    async with api.conversation() as socket:
        await socket.subscribe(STATUS, {"id": order_id})
        await socket.next_data()
        apple = api.world.catalog.instruments["US0378331005"]
        await api.world.catalog.save([type(apple)(**{**_fields(apple), "symbol": "APPL"})])
        await api.world.report(key_of(order_id), accepted())

        (update,) = await updates(socket, 1, "orderStatus")

    assert update["order"]["instrument"] == {"symbol": "APPL"}


def _fields(instrument: object) -> Json:
    return {name: getattr(instrument, name) for name in instrument.__dataclass_fields__}  # type: ignore[attr-defined]  # a dataclass


async def test_a_stream_opens_immediately_for_a_client_that_has_seen_everything() -> None:
    async with running_api(World(settings=GraphSettings(operation_timeout_seconds=0.05))) as api:
        order_id = await placed_id(api)
        async with api.conversation() as socket:
            opened = len(api.world.telemetry.measured[Metric.OPERATION_SECONDS]) + 1
            await socket.subscribe(STATUS, {"id": order_id, "after": 1})
            await eventually(
                lambda: len(api.world.telemetry.measured[Metric.OPERATION_SECONDS]) == opened,
                within_seconds=5,
                what="the operation's start is over",
            )
            await api.world.report(key_of(order_id), accepted())
            (update,) = await updates(socket, 1, "orderStatus")

    assert update["order"]["version"] == 2


async def test_a_change_is_sent_to_each_under_the_id_of_its_own_operation(api: Api) -> None:
    order_id = await placed_id(api)
    keys = ("1", "2", "1", "\u00e9\U0001f600", "a" * 128)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(api.conversation()) for _ in keys]
        for socket, key in zip(sockets, keys, strict=True):
            await socket.subscribe(UPDATES, key=key)
            await socket.next_data()

        await api.world.report(key_of(order_id), accepted(), filled("4"))
        received = [[await socket.receive() for _ in range(2)] for socket in sockets]

    assert [[message["id"] for message in messages] for messages in received] == [[key, key] for key in keys]
    assert all(
        [message["payload"] for message in messages] == [message["payload"] for message in received[0]]
        for messages in received
    )
