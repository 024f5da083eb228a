"""Fillwire's own processes as programs to supervise: their commands, settings and questions of readiness."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tools.devstack.addresses import Addresses, Port, address
from tools.devstack.probes import http_answers
from tools.devstack.supervisor import Program
from tools.devstack.tokens import TOKEN_NAME, signing_secret

ROOT = Path(__file__).parents[2]
HEADS_RANK, EXCHANGE_RANK, VALKEY_RANK, POSTGRES_RANK = range(4)
"""The order of the end: first who uses, then who is used."""

SIMULATOR_KEY = "simulator"
JOURNAL_NAME = "exchange-journal.jsonl"
GRAPHIQL_INSTALLER = "tools/graphiql/install.py"


def shared_environment(folder: Path, addresses: Addresses) -> dict[str, str]:
    """The settings of all processes, but for the servers' URLs: defaults for this machine, and the user's own win."""
    defaults = {
        "FILLWIRE_ENV": "development",
        "LOG_FORMAT": "plain",
        "PYTHONUNBUFFERED": "1",
        "LOCAL_DIR": str(folder),
    }
    if mints_tokens():
        defaults["TOKEN_SECRET"] = signing_secret(folder)
        defaults["LOCAL_TOKEN_FILE"] = str(folder / TOKEN_NAME)
    if addresses.exchange is not None:
        defaults |= {
            "EXCHANGE_URL": address(addresses.exchange),
            "EXCHANGE_STREAM_URL": address(addresses.exchange, "/stream", scheme="ws"),
            "EXCHANGE_KEY": SIMULATOR_KEY,
            "EXCHANGE_SECRET": SIMULATOR_KEY,
            "EXCHANGE_PORT": str(addresses.exchange.number),
            # The database outlives a restart, so the venue's book must too: an open order would have no venue else.
            "EXCHANGE_JOURNAL_FILE": str(folder / JOURNAL_NAME),
        }
    given = {name: value for name, value in os.environ.items() if value or name not in defaults}
    return defaults | given


def mints_tokens() -> bool:
    """Whether tokens are signed here: not when the user lets somebody else's keys decide."""
    others_keys = os.environ.get("TOKEN_JWKS_URL") or os.environ.get("TOKEN_JWKS_FILE")
    return bool(os.environ.get("TOKEN_SECRET")) or not others_keys


def exchange(port: Port, environment: Mapping[str, str]) -> Program:
    """The simulated exchange."""
    return _head("exchange", environment, ready_url=address(port, "/healthz"), stop_rank=EXCHANGE_RANK)


def migrate(environment: Mapping[str, str]) -> Program:
    """Brings the database to the newest tables, and ends."""
    return _once("migrate", ["migrate"], environment)


def instruments_sync(environment: Mapping[str, str]) -> Program:
    """Reads the venue's instruments, and ends."""
    return _once("instruments", ["instruments", "sync"], environment)


def graphiql_files() -> Program | None:
    """Puts GraphiQL's files into place, once, and ends; none in an installed wheel, which has no tools."""
    installer = ROOT / GRAPHIQL_INSTALLER
    if not installer.is_file():
        return None
    return Program(
        name="graphiql",
        command=[sys.executable, str(installer), "--quiet"],
        environment=os.environ,
        directory=ROOT,
        death_signal=signal.SIGTERM,  # It ends npm then, and deletes what is half fetched.
        restarts=False,
    )


def lasting_heads(addresses: Addresses, environment: Mapping[str, str]) -> Iterator[Program]:
    """The APIs, the workers and ingest."""
    for name, port in _numbered("api", addresses.apis):
        # METRICS_PORT is the first worker's here; an API of the local stack answers for its health on its own port.
        own = {"PORT": str(port.number), "METRICS_PORT": ""}
        yield _head(name, {**environment, **own}, ready_url=address(port, "/readyz"))
    for name, port in _numbered("worker", addresses.workers):
        yield _head(name, {**environment, "METRICS_PORT": str(port.number)}, ready_url=address(port, "/readyz"))
    port = addresses.ingest
    yield _head("ingest", {**environment, "METRICS_PORT": str(port.number)}, ready_url=address(port, "/readyz"))


def _numbered(head: str, ports: list[Port]) -> Iterator[tuple[str, Port]]:
    """The names api, api-2, api-3 with their ports."""
    for number, port in enumerate(ports, start=1):
        yield head if number == 1 else f"{head}-{number}", port


def _head(name: str, environment: Mapping[str, str], *, ready_url: str, stop_rank: int = HEADS_RANK) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", "runtime", name.partition("-")[0]],
        environment=environment,
        directory=ROOT,
        ready=partial(http_answers, ready_url),
        stop_rank=stop_rank,
    )


def _once(name: str, arguments: list[str], environment: Mapping[str, str]) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", "runtime", *arguments],
        environment=environment,
        directory=ROOT,
        restarts=False,
    )
