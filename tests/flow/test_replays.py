"""A replay of an account's changes shows the order at each of them as it was shown live, in every field."""

from tests.flow.socket import Subscription
from tests.support.system import Json, System

ACCOUNT = "replays"
CHANGES = 7
WATCH_WHOLE = """
subscription Watch($after: String) {
  orderUpdates(after: $after) {
    kind cursor
    change { kind version at status filledQuantity averagePrice execution { id quantity price executedAt } }
    order {
      id status isFinal version filledQuantity leavesQuantity averagePrice venueOrderId createdAt updatedAt
      quantity originalQuantity limitPrice venueFilledQuantity reason { code message source }
      instrument { symbol }
      executions { nodes { id quantity price executedAt receivedAt } }
      history { nodes { kind version status execution { quantity } } }
      placement { attempts maxAttempts lastAttemptAt nextAttemptAt lastError }
    }
  }
}
"""
UNKNOWN = {"method": "POST", "path": "/v2/orders", "status": 500, "after_execution": False}


async def _updates(watching: Subscription, count: int) -> list[Json]:
    return [(await watching.next())["orderUpdates"] for _ in range(count)]


async def test_a_replay_shows_the_order_at_each_change_as_it_was_shown_live(system: System) -> None:
    async with system.socket(account=ACCOUNT) as socket:
        watching = await socket.subscribe(WATCH_WHOLE)
        (checkpoint,) = await _updates(watching, 1)
        await system.control("PUT", "answers", [UNKNOWN])
        order_id = await system.placed_id(account=ACCOUNT)
        venue_order_id = (await system.becomes(order_id, "PLACED", account=ACCOUNT))["venueOrderId"]
        for quantity, price in (("30", "190.10"), ("20", "190.20")):
            fill = {"order_id": venue_order_id, "qty": quantity, "price": price}
            await system.control("POST", "fills", fill)
        await system.cancel(order_id, account=ACCOUNT)
        await system.becomes(order_id, "CANCELED", account=ACCOUNT)
        live = await _updates(watching, CHANGES)

        replaying = await socket.subscribe(WATCH_WHOLE, {"after": checkpoint["cursor"]})
        _, *replayed = await _updates(replaying, CHANGES + 1)

    kinds = [update["change"]["kind"] for update in live]
    assert kinds[:2] == ["RECEIVED", "PLACEMENT_IN_DOUBT"]
    assert kinds[-2:] == ["CANCEL_REQUESTED", "CANCELED"]
    assert live[1]["order"]["placement"]["attempts"] == 1
    assert live[2]["order"]["placement"]["attempts"] == 2
    # Of RECEIVED it is the moment by the clock of the API, and live that by the database's.
    for update in (live[0], replayed[0]):
        assert update["order"]["placement"].pop("nextAttemptAt") is not None
    assert replayed == live
