"""What the venue's staff or its hours do to orders: terms are restated, cancel requests stay pending, days end."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.exchange.simulator.client import MANUAL, Client, Listener, exchange
from tests.exchange.simulator.test_restoring import started

LIMIT = {"type": "limit", "limit_price": "100", "time_in_force": "gtc"}


async def test_a_restated_order_has_its_new_terms_and_the_stream_reports_them() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        order = await client.placed(**LIMIT)
        await listener.update()

        status, answer = await client.call(
            "POST", "/simulator/restate", {"order_id": order["id"], "qty": "40", "symbol": "NEWCO", "limit_price": "25"}
        )
        reported = await listener.update()
        shown = await client.order(order["id"])

    assert status == 200
    assert reported["event"] == "restated"
    for seen in (answer, reported["order"], shown):
        assert (seen["qty"], seen["symbol"], seen["limit_price"], seen["status"]) == ("40", "NEWCO", "25", "new")
    assert reported["timestamp"] == shown["updated_at"]


async def test_a_restated_order_is_filled_by_its_new_quantity() -> None:
    async with exchange() as client:
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4"})
        await client.call("POST", "/simulator/restate", {"order_id": order["id"], "qty": "4"})
        filled = await client.order(order["id"])
        again = await client.call("POST", "/simulator/restate", {"order_id": order["id"], "qty": "9"})

    assert (filled["status"], filled["qty"], filled["filled_qty"]) == ("filled", "4", "4")
    assert again[0] == 422


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 400), ({"qty": "0"}, 400), ({"symbol": 7}, 400), ({"limit_price": "9"}, 400), ({"qty": "3"}, 422)],
)
async def test_a_restatement_that_cannot_be_is_refused(changes: dict[str, object], status: int) -> None:
    async with exchange() as client:
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "4"})

        answer = await client.call("POST", "/simulator/restate", {"order_id": order["id"], **changes})

        assert answer[0] == status
        assert (await client.order(order["id"]))["qty"] == "10"


async def test_the_journal_keeps_the_terms_of_the_acceptance_and_of_the_restatement() -> None:
    async with exchange() as client:
        order = await client.placed(**LIMIT)
        await client.call("POST", "/simulator/restate", {"order_id": order["id"], "qty": "40"})

        accepted, *events = await client.journal()

    assert accepted["qty"] == "10"
    assert events[-1]["terms"] == {"symbol": "AAPL", "qty": "40", "limit_price": "100"}


async def test_cancel_requests_stay_pending_until_a_control_decides() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/matching", {"cancels": "manual"})
        orders = [await client.placed(**LIMIT) for _ in range(3)]
        answers = [await client.call("DELETE", f"/v2/orders/{order['id']}") for order in orders]
        repeated = await client.call("DELETE", f"/v2/orders/{orders[0]['id']}")
        shown = [(await client.order(order["id"]))["status"] for order in orders]

        refused = await client.call("POST", "/simulator/cancels", {"order_id": orders[0]["id"], "refuse": True})
        decided = await client.call("POST", "/simulator/cancels", {})
        after = [(await client.order(order["id"]))["status"] for order in orders]

    assert [answer[0] for answer in answers] == [204] * 3
    assert repeated[0] == 422
    assert shown == ["pending_cancel"] * 3
    assert (refused[1], decided[1]) == ({"decided": 1}, {"decided": 2})
    assert after == ["new", "canceled", "canceled"]


@pytest.mark.parametrize("status", ["expired", "canceled"])
async def test_the_end_of_the_session_ends_the_orders_of_the_day(status: str) -> None:
    async with exchange() as client:
        day, until_canceled = await client.placed(), await client.placed(**LIMIT)

        answer = await client.call("POST", "/simulator/session", {"end": True, "status": status})

        assert answer == (200, {"ended": 1})
        assert (await client.order(day["id"]))["status"] == status
        assert (await client.order(until_canceled["id"]))["status"] == "new"


@pytest.mark.parametrize("body", [{}, {"end": False}, {"end": 1}, {"end": True, "status": "filled"}])
async def test_a_session_can_only_be_ended(body: dict[str, object]) -> None:
    async with exchange() as client:
        order = await client.placed()

        assert (await client.call("POST", "/simulator/session", body))[0] == 400
        assert (await client.order(order["id"]))["status"] != "expired"


async def test_restated_and_pending_orders_are_the_same_after_a_restart(tmp_path: Path) -> None:
    journal, matching = tmp_path / "journal", replace(MANUAL, cancels="manual")
    async with started(journal, matching=matching) as client:
        restated, refused = await client.placed(**LIMIT), await client.placed(**LIMIT)
        await client.call("POST", "/simulator/restate", {"order_id": restated["id"], "qty": "40", "symbol": "NEWCO"})
        await client.call("DELETE", f"/v2/orders/{refused['id']}")
        await client.call("POST", "/simulator/cancels", {"refuse": True})
        before = await _state(client, restated, refused)

    async with started(journal, matching=matching) as client:
        after = await _state(client, restated, refused)

    assert after == before
    assert [order["status"] for order in before[0]] == ["new", "new"]


async def _state(client: Client, *orders: dict[str, object]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    return [await client.order(str(order["id"])) for order in orders], await client.journal()
