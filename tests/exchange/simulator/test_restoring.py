"""An exchange with a journal file forgets nothing by a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from exchange.simulator.faults import NO_FAULTS
from exchange.simulator.matching import Matching
from exchange.simulator.restoring import JournalDamagedError
from exchange.simulator.server import SimulatorConfig, running_simulator
from tests.exchange.simulator.client import AT_ONCE, MANUAL, Client


@asynccontextmanager
async def _started(path: Path, *, matching: Matching = MANUAL) -> AsyncIterator[Client]:
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


async def test_orders_executions_positions_and_the_journal_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    paths = ["/v2/orders", "/v2/account/activities/FILL", "/v2/positions", "/simulator/journal"]

    async with _started(path) as client:
        await _make_history(client)
        before = [await client.call("GET", each, status="all") for each in paths]
    async with _started(path) as client:
        after = [await client.call("GET", each, status="all") for each in paths]
        taken = await client.place(client_order_id="filled")

    assert after == before
    assert taken[0] == 422


async def test_an_open_order_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async with _started(path) as client:
        order = await client.placed()
        await client.call("POST", "/simulator/fills", {"order_id": order["id"], "qty": "3"})
    async with _started(path, matching=AT_ONCE) as client:
        filled = await client.until_status(order["id"], "filled")
        numbers = [entry["number"] for entry in await client.journal()]

    assert filled["filled_qty"] == "10"
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_line_that_a_crash_left_half_written_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async with _started(path) as client:
        await client.placed()
        before = await client.journal()
    with path.open("ab") as file:
        file.write(b'{"number":3,"kin')
    async with _started(path) as client:
        assert await client.journal() == before
        await client.placed()
        grown = await client.journal()
    async with _started(path) as client:
        assert await client.journal() == grown


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"number":7,"kind":"order"}\n', b'{"number":1,"kind":"order"}\n'])
async def test_a_damaged_journal_is_not_taken_for_an_empty_one(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line)

    with pytest.raises(JournalDamagedError, match="line 1"):
        async with _started(path):
            pass
