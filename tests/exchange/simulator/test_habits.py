"""The venue's own actions: it amends executions, restates, renames and forgets orders, determined by a seed."""

from contextlib import suppress

import aiohttp
import pytest

from exchange.simulator.habits import ExecutionFate, HabitDice, Habits
from tests.exchange.simulator.client import AT_ONCE, MANUAL, Client, Json, Listener, exchange

LIMIT = {"type": "limit", "limit_price": "1", "time_in_force": "gtc"}


async def _habits(client: Client, **rates: float) -> None:
    await client.set_faults(habits={"within_ms": 0, **rates})


async def _until_event(client: Client, wanted: str) -> Json:
    """Return the first event of that name, once there is one."""
    while True:
        for event in await client.events():
            if event["event"] == wanted:
                return event


async def test_an_execution_is_busted_by_itself_and_an_external_one_is_not_affected() -> None:
    async with exchange() as client:
        await _habits(client, bust_rate=1)
        await client.call("POST", "/simulator/orders", {"symbol": "AAPL", "qty": "5", "side": "buy", "fill": True})
        order = await client.placed()
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"]})
        bust = await _until_event(client, "trade_bust")

    assert bust["previous_execution_id"] == fill["execution_id"]
    assert (bust["order_id"], bust["filled_qty"]) == (order["id"], "0")


async def test_a_correction_is_amended_again_by_its_own_id() -> None:
    async with exchange() as client:
        await _habits(client, correct_rate=1, amend_again_rate=1)
        order = await client.placed(qty="100")
        _, fill = await client.call("POST", "/simulator/fills", {"order_id": order["id"], "price": "10"})
        corrected = await _until_event(client, "trade_correct")
        while len(amendments := [each for each in await client.events() if "previous_execution_id" in each]) < 2:
            pass

    assert (corrected["qty"], corrected["price"]) == ("50", "10.01")
    assert amendments[0]["previous_execution_id"] == fill["execution_id"]
    assert amendments[1]["previous_execution_id"] == corrected["execution_id"]


async def test_an_omitted_execution_is_listed_only_by_its_order() -> None:
    async with exchange() as client:
        await _habits(client, omit_rate=1)
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"]})
        _, listed = await client.call("GET", "/v2/account/activities/FILL")
        _, by_order = await client.call("GET", "/v2/account/activities/FILL", order_id=order["id"])

    assert (listed, len(by_order)) == ([], 1)


async def test_an_order_is_restated_and_one_that_rests_is_renamed() -> None:
    async with exchange(renamed_after_seconds=0) as client:
        await _habits(client, restate_rate=1, rename_rate=1)
        order = await client.placed(**LIMIT)
        while (shown := await client.order(order["id"]))["symbol"] == "AAPL" or shown["qty"] == "10":
            pass

    assert (shown["symbol"], shown["qty"], shown["status"]) == ("AAPL.N", "5", "new")


async def test_an_order_that_rests_is_forgotten_unless_its_answer_was_lost() -> None:
    async with exchange(matching=MANUAL) as client:
        await client.set_faults(ambiguous_rate=1, ambiguous_delay_ms=0, habits={"within_ms": 0, "forget_rate": 1})
        with suppress(aiohttp.ClientError):
            await client.place(**LIMIT, client_order_id="lost")
        await client.set_faults(ambiguous_rate=0)
        order = await client.placed(**LIMIT)
        while (await client.call("GET", f"/v2/orders/{order['id']}"))[0] != 404:
            pass
        lost, _ = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="lost")

    assert lost == 200


async def test_an_order_fills_in_part_before_its_cancel_without_a_report_on_the_stream() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await _habits(client, fill_before_cancel_rate=1)
        order = await client.placed()
        assert (await listener.update())["event"] == "new"
        await client.call("DELETE", f"/v2/orders/{order['id']}")
        reported = await listener.update()
        fill = await _until_event(client, "partial_fill")

    assert fill["withheld"] == ["dropped"]
    assert (reported["event"], reported["order"]["filled_qty"]) == ("canceled", "5")


async def test_what_was_drawn_is_not_done_once_there_are_no_habits() -> None:
    async with exchange(matching=AT_ONCE) as client:
        await client.set_faults(habits={"within_ms": 100, "bust_rate": 1})
        order = await client.placed(qty="1")
        await client.until_status(order["id"], "filled")
        await client.set_faults(habits={"bust_rate": 0})
        await client.call("PUT", "/simulator/matching", {"fill_delay_ms": 150})
        later = await client.placed(qty="1")
        await client.until_status(later["id"], "filled")
        events = {each["event"] for each in await client.events()}

    assert "trade_bust" not in events


async def test_an_event_lacks_its_time_and_the_order_has_one() -> None:
    async with exchange() as client, Listener.listening(client) as listener:
        await client.set_faults(stream={"no_timestamp_rate": 1})
        await client.placed()
        reported = await listener.update()
        (event,) = await client.events()

    assert "timestamp" not in reported
    assert reported["order"]["updated_at"] == event["at"]
    assert event["disturbed"] == ["no_timestamp"]


def test_a_seed_draws_the_same_and_rates_do_not_shift_each_other() -> None:
    habits = Habits(bust_rate=0.3, correct_rate=0.3, amend_again_rate=0.5, restate_rate=0.5, forget_rate=0.5)
    other = Habits(bust_rate=0.3, omit_rate=0.5, forget_rate=0.5)
    drawn = [_executions(habits), _executions(habits), _executions(other)]

    assert drawn[0] == drawn[1]
    assert [each.busts == (True,) for each in drawn[0]] == [each.busts == (True,) for each in drawn[2]]
    assert _forgotten(habits) == _forgotten(other)
    assert {len(each.busts) for each in drawn[0]} == {0, 1, 2, 3}


def _executions(habits: Habits) -> list[ExecutionFate]:
    dice = HabitDice(7)
    return [dice.draw_execution(habits) for _ in range(200)]


def _forgotten(habits: Habits) -> list[bool]:
    dice = HabitDice(7)
    return [dice.draw_order(habits).is_forgotten for _ in range(200)]


@pytest.mark.parametrize("habits", [{"bust_rate": 2}, {"unknown": 1}, {"within_ms": -1}, 3])
async def test_a_habit_that_cannot_be_is_refused_by_its_name(habits: object) -> None:
    async with exchange() as client:
        status, answer = await client.call("PUT", "/simulator/faults", {"habits": habits})

    assert status == 400
    assert "habits" in answer["message"]
