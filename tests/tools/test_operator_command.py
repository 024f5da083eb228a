"""`./dev fillwire …`: operators' commands with the settings of the running local stack."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tools.devstack.folder import prepare_folder
from tools.devstack.operator_command import SETTINGS_NAME, remove_settings, write_settings


def fillwire(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.devstack", "fillwire", *arguments],
        env={"LOCAL_DIR": str(folder), "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_a_running_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    prepare_folder(tmp_path)

    done = fillwire(tmp_path, "trading", "status")

    assert done.returncode == 1
    assert done.stderr == "dev: `./dev up` does not run. Start it first: ./dev up\n"


def test_help_is_shown_without_a_running_stack(tmp_path: Path) -> None:
    prepare_folder(tmp_path)

    of_all, of_one = fillwire(tmp_path), fillwire(tmp_path, "orders", "--help")

    assert (of_all.returncode, of_one.returncode) == (0, 0)
    assert "trading" in of_all.stdout
    assert "adopt" in of_one.stdout


def test_a_command_uses_the_stacks_settings(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    write_settings(tmp_path, {"PORT": "8123"})

    done = fillwire(tmp_path, "settings")

    assert done.returncode == 0
    assert "8123" in done.stdout


def test_the_settings_are_readable_by_their_owner_only_and_end_with_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_folder(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379")

    write_settings(tmp_path, {"DATABASE_URL": "postgresql://a:b@c/d", "REDIS_URL": "redis://127.0.0.1:6379"})

    file = tmp_path / SETTINGS_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"DATABASE_URL": "postgresql://a:b@c/d"}
    remove_settings(tmp_path)
    assert not file.exists()
