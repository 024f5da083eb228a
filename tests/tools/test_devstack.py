"""All of `./dev up`, with real servers and stand-ins for Fillwire's own processes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes import eventually
from tests.tools.stand_in_processes import project_with_stand_ins
from tools.devstack import processes
from tools.devstack.ports import free_port
from tools.devstack.stack import up

SETTINGS_OF_A_USER = (
    *("DATABASE_URL", "REDIS_URL", "BROADCAST_KEY", "EXCHANGE_URL"),
    *("TOKEN_SECRET", "TOKEN_JWKS_URL", "TOKEN_JWKS_FILE", "TOKEN_AUDIENCE", "TOKEN_ISSUER", "ALLOWED_ORIGINS"),
)


class Screen:
    """The printed output."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._captured.readouterr().out
        return self._text

    def starts(self) -> dict[str, dict[str, str]]:
        """Return the environment of each stand-in by its name, in the order of their starts."""
        environments = {}
        for line in self.text.splitlines():
            name, _, rest = line.partition("|")
            if rest.startswith(' {"process"'):
                environments[name.strip()] = json.loads(rest)["environment"]
        return environments


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(capsys)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ROOT", project_with_stand_ins(tmp_path / "project"))
    for name in SETTINGS_OF_A_USER:
        monkeypatch.delenv(name, raising=False)
    for name in ("PORT", "EXCHANGE_PORT", "METRICS_PORT"):
        monkeypatch.setenv(name, str(free_port()))


@pytest.fixture
async def stop() -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks put here are cancelled and awaited at the latest at the end of the test."""
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def begin(stop: list[asyncio.Task[None]], folder: Path, *, apis: int = 1, workers: int = 1) -> asyncio.Task[None]:
    task = asyncio.create_task(up(folder, apis=apis, workers=workers))
    stop.append(task)
    return task


async def test_up_starts_all_in_order_prints_addresses_and_stops_all_in_order(
    tmp_path: Path, screen: Screen, stop: list[asyncio.Task[None]]
) -> None:
    port = int(os.environ["PORT"])
    stack = await begin(stop, tmp_path / "local", apis=2, workers=2)
    await eventually(lambda: "Fillwire is up" in screen.text or stack.done(), within_seconds=20)

    starts = screen.starts()
    assert list(starts)[:2] == ["exchange", "migrate"]
    assert set(starts) == {"exchange", "migrate", "instruments", "api", "api-2", "worker", "worker-2", "ingest"}
    assert starts["api"]["DATABASE_URL"].startswith("postgresql://fillwire_api:")
    assert starts["worker"]["DATABASE_URL"].startswith("postgresql://fillwire_worker:")
    assert starts["instruments"]["DATABASE_URL"].startswith("postgresql://fillwire_operator:")
    assert starts["migrate"]["MIGRATE_DATABASE_URL"].startswith("postgresql://fillwire:")
    assert not [name for name, own in starts.items() if name != "migrate" and "MIGRATE_DATABASE_URL" in own]
    assert starts["api"]["REDIS_URL"].startswith("redis://:")
    assert starts["api"]["ALLOWED_ORIGINS"] == "http://localhost:*,http://127.0.0.1:*"
    assert starts["api"]["LOCAL_TOKEN_FILE"] == str(tmp_path / "local" / "token")
    key = (tmp_path / "local" / "broadcast-key").read_text().strip()
    assert len(key) >= 32
    assert {starts[name]["BROADCAST_KEY"] for name in ("api", "api-2", "worker", "worker-2", "ingest")} == {key}
    assert (tmp_path / "local" / "broadcast-key").stat().st_mode & 0o777 == 0o600
    assert starts["api-2"]["PORT"] == str(port + 10)
    assert f"http://127.0.0.1:{port}/graphql (GraphiQL)" in screen.text
    assert (tmp_path / "local" / "graphql-url").read_text() == f"http://127.0.0.1:{port}/graphql\n"
    assert str(tmp_path / "local" / "token") in screen.text

    stack.cancel()
    await asyncio.wait({stack}, timeout=20)

    assert stack.cancelled()
    assert screen.text.rstrip().endswith("database system is shut down")
    assert screen.text.index("Valkey is now ready to exit") < screen.text.index("received fast shutdown request")


async def test_a_users_own_venue_servers_and_keys_are_used_and_none_started(
    tmp_path: Path, screen: Screen, stop: list[asyncio.Task[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "DATABASE_URL": "postgresql://somebody:secret@db.example:5432/orders",
        "REDIS_URL": "redis://redis.example:6379/0",
        "BROADCAST_KEY": "k" * 32,
        "EXCHANGE_URL": "https://venue.example",
        "TOKEN_ISSUER": "https://issuer.example",
        "TOKEN_AUDIENCE": "fillwire",
        "PLACEMENT_MAX_ATTEMPTS": "9",
        "ALLOWED_ORIGINS": "https://desk.example",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    stack = await begin(stop, tmp_path / "local")
    await eventually(lambda: "Fillwire is up" in screen.text or stack.done(), within_seconds=20)

    starts = screen.starts()
    assert set(starts) == {"migrate", "instruments", "api", "worker", "ingest"}
    assert given.items() <= starts["worker"].items()
    assert not {"TOKEN_SECRET", "EXCHANGE_KEY"} & starts["worker"].keys()
    assert not (tmp_path / "local" / "token").exists()
