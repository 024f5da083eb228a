"""API processes over a real PostgreSQL and Valkey for one test."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.processes import RunningProcess, running
from tests.support.system import APPLE, BROADCAST_KEY, TOKEN_SECRET, token
from tools.devstack.database_roles import role_url
from tools.devstack.ports import free_port

INSTRUMENTS = ("isin", "symbol", "name", "currency", "tick_size", "lot_size", "tradable")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedApi:
    """A running API, and a client of it."""

    url: str
    probes_url: str
    session: aiohttp.ClientSession
    process: RunningProcess

    async def post(self, body: object, **headers: str) -> tuple[int, Json]:
        """Post the body as JSON, or as it is when it is bytes or a file; the status, and the answer, always JSON."""
        sent = {"authorization": f"Bearer {token('demo')}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content: Any = {"data": body} if isinstance(body, bytes | io.BytesIO) else {"json": body}
        async with self.session.post(self.url, headers=sent, **content) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, parameters: Mapping[str, str], **headers: str) -> tuple[int, Json]:
        """Send a GET request."""
        sent = {"authorization": f"Bearer {token('demo')}"} | headers
        async with self.session.get(self.url, params=parameters, headers=sent) as response:
            return response.status, await response.json(content_type=None)


@asynccontextmanager
async def running_api(
    *, database_url: str, redis_url: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[AuditedApi]:
    """Run an API with these settings beside those of production, until the block ends."""
    port, probe_port = free_port(), free_port()
    environment = {
        "DATABASE_URL": role_url(database_url, "api"),
        "REDIS_URL": redis_url,
        "TOKEN_SECRET": TOKEN_SECRET,
        "BROADCAST_KEY": BROADCAST_KEY,
        "LOG_FORMAT": "json",
        "PORT": str(port),
        "METRICS_PORT": str(probe_port),
        **(settings or {}),
    }
    probes_url = f"http://127.0.0.1:{probe_port}"
    async with (
        running(["-m", "runtime", "api"], environment=environment, ready_url=f"{probes_url}/healthz") as process,
        aiohttp.ClientSession() as session,
    ):
        yield AuditedApi(
            url=f"http://127.0.0.1:{port}/graphql", probes_url=probes_url, session=session, process=process
        )


async def import_instruments(folder: Path, *, database_url: str) -> None:
    """Put one tradable instrument into the database, as an operator would."""
    path = folder / "instruments.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([INSTRUMENTS, (APPLE, "AAPL", "Apple Inc.", "USD", "0.01", "1", "true")])
    arguments = ["-m", "runtime", "instruments", "import", str(path)]
    environment = {"DATABASE_URL": role_url(database_url, "instruments")}
    async with running(arguments, environment=environment) as importing:
        assert await importing.ends(within_seconds=20) == 0, importing.output
