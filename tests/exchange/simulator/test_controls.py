"""The controls read and change the exchange, and the journal is complete."""

from pathlib import Path

import orjson
import pytest

from exchange.simulator.faults import NO_FAULTS
from exchange.simulator.matching import Matching
from exchange.simulator.server import SimulatorConfig, running_simulator
from tests.exchange.simulator.client import AT_ONCE, KEYS, MANUAL, Client, exchange


async def test_the_defaults_are_those_of_the_challenge_and_of_a_person_watching() -> None:
    config = SimulatorConfig()

    assert (config.faults.latency_ms, config.faults.refuse_rate) == (500, 0.1)
    assert config.matching == Matching(mode="auto", fill_delay_ms=800, fills_per_order=3)
    assert (config.host, config.port, config.frames) == ("127.0.0.1", 8001, "binary")


async def test_changed_faults_are_read_back_whole() -> None:
    async with exchange() as client:
        await client.set_faults(seed=4, stream={"drop_rate": 0.5})
        _, faults = await client.call("GET", "/simulator/faults")

    expected = NO_FAULTS.changed({"seed": 4, "stream": {"drop_rate": 0.5}})
    assert faults == expected.as_json()


async def test_a_wrong_fault_changes_nothing() -> None:
    async with exchange() as client:
        status, error = await client.call("PUT", "/simulator/faults", {"latency_ms": 5, "refuse_rate": 2})
        _, faults = await client.call("GET", "/simulator/faults")

    assert (status, error["message"]) == (400, "refuse_rate must be from 0 to 1")
    assert faults["latency_ms"] == 0


async def test_setting_the_seed_again_repeats_the_faults() -> None:
    async with exchange() as client:
        runs = []
        for _ in range(2):
            await client.set_faults(seed=11, refuse_rate=0.5)
            runs.append([(await client.place())[0] for _ in range(30)])

    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


async def test_the_journal_numbers_every_order_and_event_and_reads_on_from_any() -> None:
    async with exchange(matching=AT_ONCE) as client:
        order = await client.placed(client_order_id="journaled", time_in_force="ioc")
        await client.until_status(order["id"], "filled")

        _, whole = await client.call("GET", "/simulator/journal")
        _, first = await client.call("GET", "/simulator/journal", limit="2")
        _, rest = await client.call("GET", "/simulator/journal", after="2")

    assert [(entry["number"], entry.get("event")) for entry in whole["entries"]] == [(1, None), (2, "new"), (3, "fill")]
    assert whole["entries"][0]["client_order_id"] == "journaled"
    assert (whole["last"], whole["is_complete"]) == (3, True)
    assert (first["is_complete"], rest["is_complete"]) == (False, True)
    assert first["entries"] + rest["entries"] == whole["entries"]


async def test_a_journal_file_holds_the_same_entries(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    config = SimulatorConfig(port=0, faults=NO_FAULTS, matching=MANUAL, journal_path=path)
    async with exchange() as outer, running_simulator(config) as simulator:
        client = Client(simulator, outer.session)
        await client.placed()
        await client.placed()
        entries = await client.journal()

    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == entries


async def test_invalid_controls_return_the_error() -> None:
    async with exchange() as client:
        assert (await client.call("GET", "/simulator/nothing"))[0] == 404
        assert (await client.call("GET", "/simulator/journal", after="x"))[0] == 400
        assert (await client.call("POST", "/simulator/fills", {}))[0] == 400
        assert (await client.call("POST", "/simulator/fills", {"order_id": "none"}))[0] == 404
        assert (await client.call("POST", "/simulator/bust", {"execution_id": "none"}))[0] == 404


async def test_a_fill_by_hand_needs_a_positive_quantity_and_price() -> None:
    async with exchange() as client:
        order = await client.placed()

        for wrong in ({"qty": "0"}, {"price": "-1"}, {"qty": "some"}):
            assert (await client.call("POST", "/simulator/fills", {"order_id": order["id"], **wrong}))[0] == 400


@pytest.mark.parametrize("headers", [{}, {**KEYS, "APCA-API-SECRET-KEY": "another"}])
async def test_a_control_requires_the_key_and_the_secret_of_the_venue(headers: dict[str, str]) -> None:
    async with exchange() as client:
        for method, path in (("GET", "journal"), ("PUT", "faults"), ("POST", "close"), ("GET", "nothing")):
            url = f"{client.simulator.url}/simulator/{path}"
            async with client.session.request(method, url, headers=headers, data=b"{}") as response:
                error = orjson.loads(await response.read())

            assert (response.status, error["code"]) == (401, 40110000)


async def test_the_health_check_needs_no_key_and_answers_while_the_venue_is_down() -> None:
    async with (
        exchange(faults=NO_FAULTS.changed({"down": True})) as client,
        client.session.get(f"{client.simulator.url}/healthz") as response,
    ):
        assert response.status == 200
