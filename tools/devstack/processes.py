"""Fillwire's own processes as programs to supervise: their commands, settings and readiness probes."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tools.devstack.addresses import Addresses, Port, address
from tools.devstack.database_roles import FOR_MIGRATE_ONLY, role_url
from tools.devstack.folder import stored_secret
from tools.devstack.probes import http_answers
from tools.devstack.program import Program
from tools.devstack.tokens import TOKEN_LIFETIME_MAX_SECONDS, TOKEN_NAME, signing_secret

ROOT = Path(__file__).parents[2]
PROCESSES_RANK, EXCHANGE_RANK, VALKEY_RANK, POSTGRES_RANK = range(4)
"""The order in which programs are stopped: clients before the servers that they use."""

SIMULATOR_KEY = "simulator"
BROADCAST_KEY_NAME = "broadcast-key"
JOURNAL_NAME = "exchange-journal.jsonl"
LOCAL_ORIGINS = "http://localhost:*,http://127.0.0.1:*"
"""Front ends under development: Vite, Next.js and others choose ports of their own."""
GRAPHIQL_INSTALLER = "tools/graphiql/install.py"


def shared_environment(folder: Path, addresses: Addresses) -> dict[str, str]:
    """Return the settings of all processes without the servers' URLs: defaults, overridden by the environment."""
    defaults = {
        "FILLWIRE_ENV": "development",
        "LOG_FORMAT": "plain",
        "PYTHONUNBUFFERED": "1",
        "LOCAL_DIR": str(folder),
        "ALLOWED_ORIGINS": LOCAL_ORIGINS,
    }
    if not os.environ.get("BROADCAST_KEY"):
        defaults["BROADCAST_KEY"] = stored_secret(folder / BROADCAST_KEY_NAME)
    if mints_tokens():
        defaults["TOKEN_SECRET"] = signing_secret(folder)
        defaults["LOCAL_TOKEN_FILE"] = str(folder / TOKEN_NAME)
        # The tokens of ./dev token are valid for 30 days, or for --ttl.
        defaults["TOKEN_MAX_LIFETIME_SECONDS"] = str(TOKEN_LIFETIME_MAX_SECONDS)
    if addresses.exchange is not None:
        defaults |= {
            "EXCHANGE_URL": address(addresses.exchange),
            "EXCHANGE_STREAM_URL": address(addresses.exchange, "/stream", scheme="ws"),
            "EXCHANGE_KEY": SIMULATOR_KEY,
            "EXCHANGE_SECRET": SIMULATOR_KEY,
            "EXCHANGE_PORT": str(addresses.exchange.number),
            # The database survives a restart, so the venue's book must too, or open orders would be missing there.
            "EXCHANGE_JOURNAL_FILE": str(folder / JOURNAL_NAME),
        }
    given = {name: value for name, value in os.environ.items() if value or name not in defaults}
    return defaults | given


def mints_tokens() -> bool:
    """Return whether tokens are signed here: not when the user set another issuer's keys."""
    other_keys = any(os.environ.get(name) for name in ("TOKEN_JWKS_URL", "TOKEN_JWKS_FILE", "TOKEN_ISSUER"))
    return bool(os.environ.get("TOKEN_SECRET")) or not other_keys


def exchange(port: Port, environment: Mapping[str, str]) -> Program:
    """Return the simulated exchange."""
    return _process("exchange", environment, ready_url=address(port, "/healthz"), stop_rank=EXCHANGE_RANK)


def migrate(environment: Mapping[str, str]) -> Program:
    """Return the program that migrates the database and ends."""
    return _once("migrate", ["migrate"], environment)


def instruments_sync(environment: Mapping[str, str]) -> Program:
    """Return the program that loads the venue's instruments and ends."""
    return _once("instruments", ["instruments", "sync"], _of_role("instruments", environment))


def graphiql_files() -> Program | None:
    """Return the program that installs GraphiQL's files and ends; None in an installed wheel, which has no tools."""
    installer = ROOT / GRAPHIQL_INSTALLER
    if not installer.is_file():
        return None
    return Program(
        name="graphiql",
        command=[sys.executable, str(installer), "--quiet"],
        environment=os.environ,
        directory=ROOT,
        death_signal=signal.SIGTERM,  # It ends npm then, and deletes incomplete downloads.
        restarts=False,
    )


def operator_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of an operator's commands, with the operator's own database role."""
    return _of_role("orders", environment)


def long_running_processes(addresses: Addresses, environment: Mapping[str, str]) -> Iterator[Program]:
    """Yield the APIs, the workers and ingest."""
    for (name, port), probes in zip(_numbered("api", addresses.apis), addresses.api_probes, strict=True):
        own = {"PORT": str(port.number), "METRICS_PORT": str(probes.number)}
        yield _process(name, {**environment, **own}, ready_url=address(probes, "/readyz"))
    for name, port in _numbered("worker", addresses.workers):
        yield _process(name, {**environment, "METRICS_PORT": str(port.number)}, ready_url=address(port, "/readyz"))
    port = addresses.ingest
    yield _process("ingest", {**environment, "METRICS_PORT": str(port.number)}, ready_url=address(port, "/readyz"))


def _numbered(name: str, ports: list[Port]) -> Iterator[tuple[str, Port]]:
    """Yield the names api, api-2, api-3 with their ports."""
    for number, port in enumerate(ports, start=1):
        yield name if number == 1 else f"{name}-{number}", port


def _process(name: str, environment: Mapping[str, str], *, ready_url: str, stop_rank: int = PROCESSES_RANK) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", "runtime", name.partition("-")[0]],
        environment=_of_role(name, environment),
        directory=ROOT,
        ready=partial(http_answers, ready_url),
        stop_rank=stop_rank,
    )


def _of_role(name: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment without the settings of `migrate`. In the embedded database each process has its own
    role.
    """
    own = {setting: value for setting, value in environment.items() if setting not in FOR_MIGRATE_ONLY}
    if not own.get("DATABASE_URL") and environment.get("MIGRATE_DATABASE_URL") and name != "exchange":
        own["DATABASE_URL"] = role_url(environment["MIGRATE_DATABASE_URL"], name)
    return own


def _once(name: str, arguments: list[str], environment: Mapping[str, str]) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", "runtime", *arguments],
        environment=environment,
        directory=ROOT,
        restarts=False,
    )
