"""Exit codes of `audit` for a cron job: tampering is distinguished from an outage, and from a typing error."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import asyncpg
import pytest

from db.database import Database
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk
from tools.devstack.database_roles import role_url
from tools.devstack.ports import free_port

OUTPUT_CLOSED = 141


@pytest.fixture
async def traded(database: Database, emptied_database_url: str) -> str:
    """Return the URL of a database in which alice has orders."""
    await Clerk(make_store(database)).store(3, accounts=("alice",))
    return emptied_database_url


@pytest.fixture
async def cut(traded: str) -> str:
    """Return the same, with a deleted change."""
    connection = await asyncpg.connect(traded)
    await connection.execute("DELETE FROM order_changes WHERE account_id = 'alice' AND sequence = 3")
    await connection.close()
    return traded


async def audit(database_url: str, *arguments: str) -> tuple[int | None, str, str]:
    """Run the command; its exit code, output and log."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "runtime", "audit", *arguments),
        env={"DATABASE_URL": database_url, "LOG_FORMAT": "json", "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, log = await process.communicate()
    return process.returncode, output.decode(), log.decode()


async def test_only_findings_have_code_1(cut: str) -> None:
    exit_code, output, _ = await audit(cut, "verify")

    assert (exit_code, "truncated" in output) == (1, True)


async def test_what_could_not_be_looked_at_is_no_finding(traded: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"type": "head", "account": ')
    away = f"postgresql://user@127.0.0.1:{free_port()}/name"

    answers = await asyncio.gather(
        audit(away, "verify"),
        audit(role_url(traded, "ingest"), "verify"),
        audit(traded, "verify", "--heads", str(broken)),
        audit(traded, "verify", "--file", str(tmp_path / "missing.jsonl")),
        audit(traded, "verify", "--account", "alcie"),
    )

    for (exit_code, output, log), said in zip(
        answers,
        ("process_failed", "ends with _operator", "broken.jsonl", "missing.jsonl", "holds nothing of alcie"),
        strict=True,
    ):
        assert (exit_code, output) == (3, ""), log
        assert said in log
        assert "Traceback" not in log


async def test_an_account_of_exported_heads_that_is_gone_is_a_finding_and_no_typing_error(
    traded: str, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    heads.write_text(f'{{"type": "head", "account": "carol", "sequence": 5, "hash": "{"0" * 64}"}}\n')

    gone, known = await asyncio.gather(
        audit(traded, "verify", "--account", "carol", "--heads", str(heads)),
        audit(traded, "verify", "--account", "alice", "--heads", str(heads)),
    )

    assert gone[0] == 1, gone
    assert "carol" in gone[1]
    assert known[0] == 0, known
    assert "chains: 1, findings: 0" in known[1]


async def test_an_exported_file_is_readable_only_by_its_owner(traded: str, tmp_path: Path) -> None:
    exported, left_over = tmp_path / "trail.jsonl", tmp_path / "trail.jsonl.part"
    left_over.touch(mode=0o644)

    exit_code, _, log = await audit(traded, "export", "--output", str(exported))

    assert exit_code == 0, log
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert not left_over.exists()


async def test_a_command_whose_output_is_closed_ends_quietly(traded: str) -> None:
    commands = ("audit export", "audit verify", "settings", "migrate --print-roles", "limits show")
    for exit_code, errors in await asyncio.gather(*(_closed(command, traded) for command in commands)):
        assert exit_code == OUTPUT_CLOSED, errors
        assert "Traceback" not in errors
        assert "Exception ignored" not in errors


async def _closed(command: str, database_url: str) -> tuple[int | None, str]:
    """Run the command without a reader; its exit code and errors."""
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "runtime", *command.split()),
        env={"DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"},
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, errors = await process.communicate()
    return process.returncode, errors.decode()
