"""An order from its mutation to its last change, followed live."""

from domain.model.audit_chain import account_genesis
from tests.support.processes import eventually
from tests.support.system import System

WATCH = """
subscription Watch($id: ID!, $afterVersion: Int) {
  orderStatus(orderId: $id, afterVersion: $afterVersion) {
    kind
    order { status version filledQuantity averagePrice }
    change { kind version filledQuantity execution { quantity price } }
  }
}
"""
WATCH_ALL = """
subscription WatchAll($after: String) {
  orderUpdates(after: $after) { kind cursor order { id status version } change { kind } }
}
"""


async def _fill(system: System, order_id: str, *, quantity: str, price: str) -> None:
    """Execute once at the exchange, now. The exchange knows the order by its uuid."""
    order = await system.order(order_id)
    await system.control("POST", "fills", {"order_id": order["venueOrderId"], "qty": quantity, "price": price})


async def _lived(system: System, *, account: str) -> str:
    """Create an order that was placed, filled in two parts, and has ended."""
    order_id = await system.placed_id(account=account)
    order = await system.becomes(order_id, "PLACED", account=account)
    for quantity, price in (("30", "190.10"), ("60", "190.20")):
        fill = {"order_id": order["venueOrderId"], "qty": quantity, "price": price}
        await system.control("POST", "fills", fill)
    await system.becomes(order_id, "FILLED", account=account)
    return order_id


async def test_an_order_is_watched_from_pending_to_filled_with_each_change_once_and_in_order(system: System) -> None:
    async with system.socket() as socket:
        order_id = await system.placed_id()
        watching = await socket.subscribe(WATCH, {"id": order_id})
        await system.becomes(order_id, "PLACED")
        await _fill(system, order_id, quantity="30", price="190.10")
        await _fill(system, order_id, quantity="60", price="190.20")
        updates = [data["orderStatus"] for data in await watching.rest()]

    first, *changes = updates
    assert first["kind"] == "SNAPSHOT"
    assert all(update["kind"] == "CHANGE" for update in changes)
    versions = [update["order"]["version"] for update in updates]
    assert versions == list(range(versions[0], 5))
    assert [update["order"]["status"] for update in updates][-2:] == ["PARTIALLY_FILLED", "FILLED"]
    assert changes[-1]["change"]["execution"] == {"quantity": "60", "price": "190.2"}
    assert updates[-1]["order"] == {
        "status": "FILLED",
        "version": 4,
        "filledQuantity": "90",
        "averagePrice": "190.166666666666666667",
    }


async def test_resuming_after_a_version_brings_exactly_what_was_missed(system: System) -> None:
    order_id = await _lived(system, account="resumes")

    async with system.socket(account="resumes") as socket:
        watching = await socket.subscribe(WATCH, {"id": order_id, "afterVersion": 2})
        missed = [data["orderStatus"] for data in await watching.rest()]

    assert [update["kind"] for update in missed] == ["CHANGE", "CHANGE"]
    assert [update["change"]["version"] for update in missed] == [3, 4]
    assert [update["change"]["filledQuantity"] for update in missed] == ["30", "90"]


async def test_resuming_from_a_cursor_brings_every_change_of_the_account_since(system: System) -> None:
    async with system.socket(account="cursor") as socket:
        watching = await socket.subscribe(WATCH_ALL)
        checkpoint = (await watching.next())["orderUpdates"]
        order_id = await _lived(system, account="cursor")
        live = [(await watching.next())["orderUpdates"] for _ in range(4)]
        resuming = await socket.subscribe(WATCH_ALL, {"after": live[1]["cursor"]})
        resumed = [(await resuming.next())["orderUpdates"] for _ in range(3)]

    assert checkpoint["kind"] == "CHECKPOINT"
    assert [update["change"]["kind"] for update in live] == ["RECEIVED", "PLACED", "FILL", "FILL"]
    assert {update["order"]["id"] for update in live} == {order_id}
    assert resumed[0]["kind"] == "CHECKPOINT"
    assert resumed[0]["cursor"] == live[1]["cursor"]
    assert resumed[1:] == live[2:]


async def test_waiting_for_the_first_attempt_answers_with_the_placed_order(system: System) -> None:
    result = await system.place(wait_ms=10_000)

    assert result["order"]["status"] == "PLACED"
    assert result["order"]["placement"]["attempts"] == 1


async def test_a_placed_order_is_canceled_by_the_exchange_with_a_reason(system: System) -> None:
    order_id = await system.placed_id()
    await system.becomes(order_id, "PLACED")

    result = await system.cancel(order_id)

    assert result["__typename"] == "CancelOrderSuccess"
    assert result["order"]["status"] == "PENDING_CANCEL"
    canceled = await system.becomes(order_id, "CANCELED")
    assert canceled["reason"]["source"] == "ACCOUNT"
    assert canceled["leavesQuantity"] == "0"


async def test_a_final_order_cannot_be_canceled(system: System) -> None:
    order_id = await _lived(system, account="too-late")

    result = await system.cancel(order_id, account="too-late")

    assert result["__typename"] == "NotCancelable"


async def test_every_execution_and_every_change_can_be_read_again(system: System) -> None:
    order_id = await _lived(system, account="audit")

    data = await system.ask(
        """query Audit($id: ID!) { order(id: $id) {
          executions { nodes { quantity price } pageInfo { hasNextPage } }
          history(first: 2) { nodes { kind version } pageInfo { hasNextPage endCursor } } } }""",
        {"id": order_id},
        account="audit",
    )

    executions, history = data["order"]["executions"], data["order"]["history"]
    assert executions["nodes"] == [{"quantity": "30", "price": "190.1"}, {"quantity": "60", "price": "190.2"}]
    assert [change["kind"] for change in history["nodes"]] == ["RECEIVED", "PLACED"]
    assert history["pageInfo"]["hasNextPage"]


async def test_a_refusal_by_the_exchange_is_a_rejected_order_with_the_exchanges_reason(system: System) -> None:
    order_id = await system.placed_id(type="LIMIT", limitPrice="190.50", quantity="900000000")

    rejected = await system.becomes(order_id, "REJECTED")

    assert rejected["reason"]["source"] == "VENUE"
    assert "buying power" in rejected["reason"]["message"]


async def test_an_order_whose_placement_got_no_usable_answer_is_in_doubt_until_it_is_placed(system: System) -> None:
    await system.control("PUT", "faults", {"error_rate": 1})
    try:
        order_id = await system.placed_id(account="doubt")
        doubtful = await system.becomes(order_id, "IN_DOUBT", account="doubt")
    finally:
        await system.control("PUT", "faults", {"error_rate": 0})

    placed = await system.becomes(order_id, "PLACED", within_seconds=20, account="doubt")

    assert doubtful["reason"]["code"] == "OUTCOME_UNKNOWN"
    assert await _accepted(system, placed["venueOrderId"]) == 1


async def test_an_order_that_was_taken_without_an_answer_is_found_and_not_sent_again(system: System) -> None:
    await system.control("PUT", "faults", {"ambiguous_rate": 1, "ambiguous_delay_ms": 100})
    try:
        order_id = await system.placed_id()
        placed = await system.becomes(order_id, "PLACED", within_seconds=20)
    finally:
        await system.control("PUT", "faults", {"ambiguous_rate": 0})

    assert await _accepted(system, placed["venueOrderId"]) == 1


async def _accepted(system: System, venue_order_id: str) -> int:
    """How often the exchange accepted this order's client order id."""
    orders = await system.journal("order")
    [name] = {one["client_order_id"] for one in orders if one["order_id"] == venue_order_id}
    return [one["client_order_id"] for one in orders].count(name)


async def test_a_client_that_has_seen_everything_receives_only_later_changes(system: System) -> None:
    order_id = await system.placed_id()
    await system.becomes(order_id, "PLACED")

    async with system.socket() as socket:
        watching = await socket.subscribe(WATCH, {"id": order_id, "afterVersion": 2})
        await _open_subscription(system)
        await _fill(system, order_id, quantity="90", price="190.10")
        updates = [data["orderStatus"] for data in await watching.rest()]

    assert [(update["kind"], update["change"]["version"]) for update in updates] == [("CHANGE", 3)]


async def _open_subscription(system: System) -> None:
    """Wait until the API counts a live subscriber."""

    async def counted() -> bool:
        return await system.metric("subscribers") >= 1

    await eventually(counted, within_seconds=5, what="a live subscriber")


async def test_an_order_is_sealed_in_its_account_s_chain_within_seconds(system: System) -> None:
    async def head() -> str:
        viewer = (await system.ask("{ viewer { auditHead } }", account="sealed"))["viewer"]
        return str(viewer["auditHead"])

    async def is_sealed() -> bool:
        return await head() != before

    before = await head()
    await _lived(system, account="sealed")

    assert before == account_genesis("sealed").hash
    assert await eventually(is_sealed, within_seconds=10)
    assert await system.metric("audit_sealed_total", head="worker") >= 1
