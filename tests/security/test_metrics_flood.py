"""Clients of the probes, which need no token, must not harm trading."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.support.audited_api import AuditedApi, import_instruments, running_api
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import APPLE, PLACE

CLIENTS = 50
SECONDS = 2.0
PER_SECOND = 50
"""METRICS_CONNECTIONS_PER_SECOND_MAX by default."""
MEDIAN_MAX_SECONDS = 0.1
"""Of `placeOrder` beside a flood, on a machine that others use: 0.7 s before, some milliseconds with nobody else."""


@pytest.fixture(scope="module")
async def api(
    postgres_server: PostgresServer,
    valkey_server: TestServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[AuditedApi]:
    """Run an API as in production."""
    database_url = await postgres_server.create_database(template=migrated_template)
    await import_instruments(tmp_path_factory.mktemp("instruments"), database_url=database_url)
    async with running_api(database_url=database_url, redis_url=valkey_server.url) as running:
        yield running


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_in_production_the_public_port_has_no_probes(api: AuditedApi, path: str) -> None:
    async with api.session.get(api.url.replace("/graphql", path)) as public:
        assert public.status == 404
    async with api.session.get(api.probes_url + path) as probes:
        assert probes.status == 200


async def test_fifty_clients_that_read_metrics_neither_slow_orders_down_nor_exceed_their_rate(
    api: AuditedApi,
) -> None:
    statuses: Counter[int] = Counter()
    texts: set[str] = set()
    began = time.monotonic()

    async def ask() -> None:
        while time.monotonic() < began + SECONDS:
            async with api.session.get(f"{api.probes_url}/metrics") as response:
                statuses[response.status] += 1
                texts.add(await response.text())

    async with asyncio.TaskGroup() as flood:
        for _ in range(CLIENTS):
            flood.create_task(ask())
        seconds = [await place(api, number) for number in range(30)]
    lasted = time.monotonic() - began

    assert statuses.keys() == {200}
    assert statuses[200] <= PER_SECOND * lasted + 1
    assert len(texts) <= lasted + 1
    assert statistics.median(seconds) < MEDIAN_MAX_SECONDS


async def test_silent_connections_do_not_block_probes(api: AuditedApi) -> None:
    port = int(api.probes_url.rpartition(":")[2])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CLIENTS + 5)]

    async with asyncio.timeout(5), api.session.get(f"{api.probes_url}/healthz") as response:
        assert response.status == 200
    for _, writer in silent:
        writer.transport.abort()


async def place(api: AuditedApi, number: int) -> float:
    """Place an order; return the seconds until its answer."""
    order = {"clientOrderId": f"flood-{number}", "isin": APPLE, "side": "BUY", "type": "MARKET", "quantity": "1"}
    document = f"{PLACE} fragment All on Order {{ id }}"
    began = time.monotonic()
    status, answer = await api.post({"query": document, "variables": {"input": order}})
    assert (status, answer["data"]["placeOrder"]["__typename"]) == (200, "PlaceOrderSuccess"), answer
    return time.monotonic() - began
