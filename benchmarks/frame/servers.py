"""Starts the processes that a stage measures: our own processes as `runtime` composes them, and the floors."""

import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import jwt
from redis.asyncio import Redis

from benchmarks.frame.bench import Bench
from db.engine import open_database
from db.instrument_catalog import PostgresInstrumentCatalog
from domain.model.values import Instrument
from tests.support.processes import ROOT, RunningProcess, running
from tools.devstack.database_roles import role_url
from tools.devstack.ports import free_port

TOKEN_SECRET = secrets.token_hex(32)
BROADCAST_KEY = secrets.token_hex(32)
TOKEN_SECONDS = 7_200
ALL_SCOPES = "orders:read orders:place orders:cancel"
ISIN, SYMBOL = "US0378331005", "AAPL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process that answers at this address; `probes_port` serves its health and its metrics."""

    process: RunningProcess
    port: int
    probes_port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


@dataclass(slots=True, kw_only=True)
class Gateway:
    """A database, a Valkey and the settings over which heads are started. They end with its stack."""

    database_url: str
    redis_url: str
    exchange_port: int
    stack: AsyncExitStack
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this gateway gets."""
        exchange = f"127.0.0.1:{self.exchange_port}"
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "EXCHANGE_URL": f"http://{exchange}",
            "EXCHANGE_STREAM_URL": f"ws://{exchange}/stream",
            "TOKEN_SECRET": TOKEN_SECRET,
            "BROADCAST_KEY": BROADCAST_KEY,
            "LOG_FORMAT": "plain",
            "LOG_LEVEL": "WARNING",
            # What a stage counts it reads there.
            "METRICS_RENDERED_EVERY_SECONDS": "0.001",
            **self.settings,
        }

    async def start(self, head: str, *, settings: Mapping[str, str] | None = None) -> Server:
        """Start one of our processes; return it when it serves."""
        if head == "exchange":
            port = self.exchange_port
            return await self.run(
                ["-m", "runtime", head], port=port, settings={"EXCHANGE_PORT": str(port), **(settings or {})}
            )
        return await self.run_head(head, ["-m", "runtime", head], settings=settings)

    async def run_head(
        self, head: str, arguments: Sequence[str], *, settings: Mapping[str, str] | None = None
    ) -> Server:
        """Start a process of ours, or a variant of one: an API serves on `PORT`, each is probed on `METRICS_PORT`."""
        probes_port = free_port()
        return await self.run(
            arguments,
            probes_port=probes_port,
            settings={
                "METRICS_PORT": str(probes_port),
                "DATABASE_URL": role_url(self.database_url, head),
                **(settings or {}),
            },
        )

    async def run(
        self,
        arguments: Sequence[str],
        *,
        port: int | None = None,
        probes_port: int | None = None,
        ready: str = "/healthz",
        settings: Mapping[str, str] | None = None,
        program: str = sys.executable,
        directory: Path = ROOT,
    ) -> Server:
        """Run a process of the benchmark, in Python or another program; its port is in `PORT`."""
        port = free_port() if port is None else port
        probes_port = port if probes_port is None else probes_port
        process = await self.stack.enter_async_context(
            running(
                arguments,
                environment={**self.environment, "PORT": str(port), **(settings or {})},
                ready_url=f"http://127.0.0.1:{probes_port}{ready}",
                python=program,
                directory=directory,
            )
        )
        return Server(process=process, port=port, probes_port=probes_port)


@asynccontextmanager
async def open_gateway(
    bench: Bench, settings: Mapping[str, str] | None = None, *, redis_number: int = 0
) -> AsyncIterator[Gateway]:
    """Open a gateway over a separate database with one instrument. Only PostgreSQL and Valkey run.

    Gateways that are open at the same time need different numbers of Valkey's sixteen databases.
    """
    database_url = await bench.fresh_database()
    redis_url = f"{(await bench.valkey()).url.removesuffix('/0')}/{redis_number}"
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    await save_instrument(database_url)
    async with AsyncExitStack() as stack:
        yield Gateway(
            database_url=database_url,
            redis_url=redis_url,
            exchange_port=free_port(),
            stack=stack,
            settings=settings or {},
        )


async def save_instrument(database_url: str) -> None:
    """Save the one instrument that all benchmarks trade."""
    apple = Instrument(
        isin=ISIN,
        symbol=SYMBOL,
        name="Apple Inc.",
        currency="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        tradable=True,
    )
    async with open_database(database_url, application_name="bench") as database:
        await PostgresInstrumentCatalog(database, cache_seconds=1.0).save([apple])


def token(account: str) -> str:
    """Return a token for the account with every scope of a trader."""
    claims = {"sub": account, "scope": ALL_SCOPES, "exp": int(time.time()) + TOKEN_SECONDS}
    return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")
