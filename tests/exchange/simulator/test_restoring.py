"""An exchange with a journal file keeps its state across a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from exchange.simulator.faults import NO_FAULTS
from exchange.simulator.matching import Matching
from exchange.simulator.restoring import JournalDamagedError
from exchange.simulator.server import SimulatorConfig, running_simulator
from tests.exchange.simulator.client import AT_ONCE, MANUAL, Client


@asynccontextmanager
async def started(path: Path, *, matching: Matching = MANUAL) -> AsyncIterator[Client]:
    """Run an exchange with that journal file."""
    config = SimulatorConfig(port=0, faults=NO_FAULTS, matching=matching, journal_path=path)
    async with running_simulator(config) as simulator, aiohttp.ClientSession() as session:
        yield Client(simulator, session)


async def _make_history(client: Client) -> None:
    """Orders in every state: filled in parts, corrected and busted, canceled, replaced, rejected, expired, open."""
    filled = await client.placed(client_order_id="filled", symbol="IBM")
    _, first = await client.call("POST", "/simulator/fills", {"order_id": filled["id"], "qty": "4", "price": "223.5"})
    await client.call("POST", "/simulator/fills", {"order_id": filled["id"], "price": "224"})
    await client.call("POST", "/simulator/correct", {"execution_id": first["execution_id"], "price": "223"})
    busted = await client.placed(client_order_id="busted", symbol="KO")
    _, undone = await client.call("POST", "/simulator/fills", {"order_id": busted["id"], "qty": "2"})
    await client.call("POST", "/simulator/bust", {"execution_id": undone["execution_id"]})
    await client.call("POST", "/simulator/close")
    canceled = await client.placed(client_order_id="canceled", time_in_force="gtc")
    await client.call("DELETE", f"/v2/orders/{canceled['id']}")
    replaced = await client.placed(client_order_id="replaced", type="limit", limit_price="200", time_in_force="gtc")
    await client.call("PATCH", f"/v2/orders/{replaced['id']}", {"qty": "5"})
    await client.call("PUT", "/simulator/matching", {"fill_delay_ms": 0})
    await client.set_faults(reject_rate=1)
    rejected = await client.placed(client_order_id="rejected")
    await client.until_status(rejected["id"], "rejected")


async def _make_external_history(client: Client) -> None:
    """Create external orders of unknown kinds, filled, in a bracket, forgotten; the fill of a forgotten one was
    busted.
    """
    await client.call("PUT", "/simulator/identity", {"check": False})
    terms = {"side": "sell", "qty": "2", "time_in_force": "gtc"}
    exits = {"take_profit": {"limit_price": "150"}, "stop_loss": {"stop_price": "250"}}
    orders = []
    for fields in (
        {"symbol": "BTC/USD", "type": "trailing_stop", "trail_percent": "1.5", "client_order_id": "twice"},
        {"symbol": "KO", "qty": None, "notional": "100", "fill": True, "client_order_id": "twice"},
        {"symbol": "IBM", "order_class": "bracket", "fill": True, **exits},
        {"symbol": "IBM", "order_class": "class of the year 2027", "client_order_id": "forgotten"},
        {"symbol": "AAPL", "fill": True},
    ):
        _, order = await client.call("POST", "/simulator/orders", {**terms, **fields})
        orders.append(order)
    _, activities = await client.call("GET", "/v2/account/activities/FILL")
    for order in orders[3:]:
        await client.call("DELETE", f"/simulator/orders/{order['id']}")
    execution_id = activities[0]["id"].partition("::")[2]
    assert (await client.call("POST", "/simulator/bust", {"execution_id": execution_id}))[0] == 200
    # The day of a clock that was ahead: entries whose times are not in the order of their numbers.
    await client.call("PUT", "/simulator/clock", {"offset_seconds": 60})
    await client.placed(time_in_force="gtc")
    await client.call("PUT", "/simulator/clock", {"offset_seconds": 0})
    await client.placed(time_in_force="gtc")


async def test_external_forgotten_and_doubled_orders_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    paths = ["/v2/orders", "/v2/account/activities/FILL", "/v2/positions", "/simulator/journal"]
    paths += ["/v2/orders:by_client_order_id"]

    async with started(path) as client:
        await _make_external_history(client)
        before = [await client.call("GET", each, status="all", client_order_id="twice") for each in paths]
        nested = await client.call("GET", "/v2/orders", status="all", nested="true")
    async with started(path) as client:
        after = [await client.call("GET", each, status="all", client_order_id="twice") for each in paths]
        nested_after = await client.call("GET", "/v2/orders", status="all", nested="true")
        forgotten = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="forgotten")
        taken = await client.place(client_order_id="forgotten")

    assert after == before
    assert nested_after == nested
    assert len([row for row in nested[1] if row["legs"]]) == 1
    assert (forgotten[0], taken[0]) == (404, 422)


async def test_a_restored_external_order_is_still_filled_only_by_the_controls(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    fields = {"symbol": "AAPL", "side": "buy", "qty": "1", "time_in_force": "gtc"}

    async with started(path) as client:
        _, order = await client.call("POST", "/simulator/orders", fields)
    async with started(path, matching=AT_ONCE) as client:
        own = await client.placed(qty="1")
        await client.until_status(own["id"], "filled")

        assert (await client.order(order["id"]))["status"] == "new"


OLD_JOURNAL = b"""\
{"number":1,"kind":"order","at":"2026-11-20T12:00:00.000000Z","order_id":"0199","client_order_id":"old","withheld":[],\
"symbol":"AAPL","side":"buy","type":"limit","time_in_force":"gtc","qty":"10","limit_price":"200",\
"extended_hours":false,"replaces":null,"visible_at":"2026-11-20T12:00:00.000000Z","answer":"given"}
{"number":2,"kind":"event","at":"2026-11-20T12:00:00.100000Z","order_id":"0199","client_order_id":"old",\
"withheld":["no_listener"],"event":"new","execution_id":null,"qty":null,"price":null,"filled_qty":"0","reason":null,\
"disturbed":[]}
"""


async def test_a_journal_from_before_external_orders_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(OLD_JOURNAL)

    async with started(path) as client:
        order = await client.order("0199")
        entries = await client.journal()

    assert (order["client_order_id"], order["status"], order["limit_price"]) == ("old", "new", "200")
    assert entries == [orjson.loads(line) for line in OLD_JOURNAL.splitlines()]


async def test_orders_executions_positions_and_the_journal_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    paths = ["/v2/orders", "/v2/account/activities/FILL", "/v2/positions", "/simulator/journal"]

    async with started(path) as client:
        await _make_history(client)
        before = [await client.call("GET", each, status="all") for each in paths]
    async with started(path) as client:
        after = [await client.call("GET", each, status="all") for each in paths]
        taken = await client.place(client_order_id="filled")

    assert after == before
    assert taken[0] == 422


async def test_an_open_order_continues_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async with started(path) as client:
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "3"})
    async with started(path, matching=AT_ONCE) as client:
        filled = await client.until_status(order["id"], "filled")
        numbers = [entry["number"] for entry in await client.journal()]

    assert filled["filled_qty"] == "10"
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_line_that_a_crash_left_half_written_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async with started(path) as client:
        await client.placed()
        before = await client.journal()
    with path.open("ab") as file:
        file.write(b'{"number":3,"kin')
    async with started(path) as client:
        assert await client.journal() == before
        await client.placed()
        grown = await client.journal()
    async with started(path) as client:
        assert await client.journal() == grown


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"number":7,"kind":"order"}\n', b'{"number":1,"kind":"order"}\n'])
async def test_a_damaged_journal_is_not_taken_for_an_empty_one(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line)

    with pytest.raises(JournalDamagedError, match="line 1"):
        async with started(path):
            pass
