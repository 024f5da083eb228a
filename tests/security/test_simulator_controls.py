"""A web page cannot use the simulated exchange's controls, even though their key is public."""

from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from exchange.simulator.faults import NO_FAULTS
from exchange.simulator.server import SimulatorConfig, running_simulator
from tests.exchange.simulator.client import KEYS, MANUAL, Client

REQUESTS = [("GET", "faults"), ("PUT", "faults"), ("POST", "fills"), ("POST", "close"), ("GET", "nothing")]


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Client]:
    config = SimulatorConfig(port=0, faults=NO_FAULTS, matching=MANUAL)
    async with running_simulator(config) as running, aiohttp.ClientSession() as session:
        yield Client(running, session)


async def status(simulator: Client, method: str, path: str, **headers: str) -> int:
    """Return the status of a request with the key, a body of JSON and these headers."""
    sent = {
        **KEYS,
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    url = f"{simulator.simulator.url}/simulator/{path}"
    async with simulator.session.request(method, url, data=b'{"down": true}', headers=sent) as response:
        if response.status == 403:
            assert orjson.loads(await response.read())["code"] == 40310000
        return response.status


async def is_down(simulator: Client) -> bool:
    return bool((await simulator.call("GET", "/simulator/faults"))[1]["down"])


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "Text/Plain;charset=UTF-8"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8001"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[evil.example]:8001"},
    ],
    ids=str,
)
async def test_a_request_of_a_web_page_sets_no_control(
    simulator: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    assert await status(simulator, method, path, **headers) == 403
    assert not await is_down(simulator)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:8001"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8001"},
        {"Sec_Fetch_Site": "none"},
        {"Content_Type": "application/json; charset=utf-8"},
        {"Content_Type": "application/octet-stream"},
    ],
    ids=str,
)
async def test_a_local_program_can_use_them(simulator: Client, headers: dict[str, str]) -> None:
    try:
        assert await status(simulator, "PUT", "faults", **headers) == 200
        assert await is_down(simulator)
    finally:
        await simulator.set_faults(down=False)


async def test_in_a_network_of_containers_the_exchange_has_a_name() -> None:
    config = SimulatorConfig(host="0.0.0.0", port=0, faults=NO_FAULTS, matching=MANUAL)  # noqa: S104 - as in a container
    async with running_simulator(config) as running, aiohttp.ClientSession() as session:
        simulator = Client(running, session)

        assert await status(simulator, "PUT", "faults", Host="exchange:8001") == 200
        assert await status(simulator, "PUT", "faults", Host="exchange:8001", Origin="http://exchange:8001") == 403


async def test_without_the_key_nothing_is_answered(simulator: Client) -> None:
    async with simulator.session.get(f"{simulator.simulator.url}/simulator/journal") as response:
        assert response.status == 401
