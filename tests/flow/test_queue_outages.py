"""A worker that cannot read jobs from Redis: it waits, logs the reason, and continues when Redis does."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from tests.support.processes import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.servers import TestServer
from tests.support.system import System, open_system

MEASURED_SECONDS = 1.0
PROCESSOR_SHARE_MAX = 0.10
WITHIN_SECONDS = 10
FAILURES_MIN = 3
DEQUEUE = {"WORKER_DEQUEUE_TIMEOUT_SECONDS": "0.5"}
USER = "limited"
PASSWORD = "a password of the test's own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A worker, and the Redis whose jobs it runs."""

    system: System
    proxy: Proxy
    redis: Redis

    @property
    def output(self) -> list[str]:
        return self.system.processes["worker"].output

    def lines(self, event: str, *, since: int) -> list[str]:
        """Return the lines of the event after the first `since` lines."""
        return [line for line in self.output[since:] if f"] {event} " in line]

    async def has_failed(self, trouble: str) -> bool:
        """Whether that was met several times."""
        failures = await self.system.metric(f'job_queue_failures_total{{reason="{trouble}"}}', head="worker")
        return failures >= FAILURES_MIN

    async def readiness(self) -> str:
        url = f"{self.system.probes_url('worker')}/readyz"
        async with self.system.session.get(url) as response:
            state: str = (await response.json())["checks"]["redis"]
            return state

    async def becomes(self, state: str) -> None:
        async def is_so() -> bool:
            return await self.readiness() == state

        await eventually(is_so, within_seconds=WITHIN_SECONDS, what=f"/readyz says {state}")

    async def processor_share(self) -> float:
        """Return the share of one core that the worker uses."""
        pid = self.system.processes["worker"].pid
        before = _processor_seconds(pid)
        await asyncio.sleep(MEASURED_SECONDS)  # What is measured is a rate.
        return (_processor_seconds(pid) - before) / MEASURED_SECONDS

    @asynccontextmanager
    async def failing(self, trouble: str) -> AsyncIterator[None]:
        """Make Redis fail in that way."""
        begin, end = {
            "unreachable": (self.proxy.take_away, self.proxy.restore),
            "read only": (
                lambda: self.redis.replicaof("127.0.0.1", "1"),
                lambda: self.redis.replicaof("NO", "ONE"),
            ),
            "out of memory": (
                lambda: self.redis.config_set("maxmemory", "1"),
                lambda: self.redis.config_set("maxmemory", "0"),
            ),
            "denied": (
                lambda: self.redis.acl_setuser(USER, commands=["-blmove"], enabled=True),
                lambda: self.redis.acl_setuser(USER, commands=["+blmove"], enabled=True),
            ),
        }[trouble]
        await begin()
        try:
            yield
        finally:
            await end()


@pytest.fixture(scope="module")
async def worked(module_database_url: str, valkey_server: TestServer) -> AsyncIterator[Worked]:
    """Run a worker whose Redis user may not call INFO, as with some providers."""
    parts = urlsplit(valkey_server.url.rsplit("/", 1)[0] + "/4")
    limited = urlunsplit(parts._replace(netloc=f"{USER}:{PASSWORD.replace(' ', '%20')}@{parts.netloc.split('@')[-1]}"))
    async with Redis.from_url(valkey_server.url) as redis:
        await redis.acl_setuser(
            USER,
            enabled=True,
            passwords=f"+{PASSWORD}",
            keys=["*"],
            channels=["*"],
            categories=["+@all"],
            commands=["-info"],
        )
        async with (
            proxied(limited) as (proxy, there),
            open_system(database_url=module_database_url, redis_url=there, settings=DEQUEUE) as system,
        ):
            await system.start("api", "worker")
            yield Worked(system=system, proxy=proxy, redis=redis)
        await redis.acl_deluser(USER)


@pytest.mark.parametrize("trouble", ["unreachable", "read only", "out of memory", "denied"])
async def test_a_worker_waits_for_a_redis_that_fails_logs_the_reason_and_continues(
    worked: Worked, trouble: str
) -> None:
    await worked.becomes("ok")
    begun = len(worked.output)
    async with worked.failing(trouble):
        await worked.becomes(trouble)
        # At this point no task of the worker still waits in a call that began before.
        await eventually(lambda: worked.has_failed(trouble), within_seconds=WITHIN_SECONDS)
        share = await worked.processor_share()
        lines = worked.lines("job_queue_failing", since=begun)

    await worked.becomes("ok")
    order_id = await worked.system.placed_id()
    await worked.system.becomes(order_id, "PLACED")

    assert share < PROCESSOR_SHARE_MAX
    assert len(lines) == 1, lines
    assert trouble in lines[0]
    assert worked.lines("job_queue_recovered", since=begun)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
