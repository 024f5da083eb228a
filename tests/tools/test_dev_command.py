"""The script `dev`: parsed by old Pythons, with clear messages, and it repairs an incomplete environment."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.processes import ROOT

DEV = ROOT / "dev"


@pytest.fixture
def dev(tmp_path: Path) -> ModuleType:
    """Return the script as a module, in a separate project folder."""
    module = ModuleType("dev")
    module.__file__ = str(tmp_path / "dev")
    exec(compile(DEV.read_text(), str(DEV), "exec"), module.__dict__)  # noqa: S102  # A script without .py cannot be imported.
    (tmp_path / "requirements-dev.lock").write_text("locked==1\n")
    return module


def whole_environment(dev: ModuleType, *, lock: bytes) -> None:
    dev.VENV_PYTHON.parent.mkdir(parents=True)
    dev.VENV_PYTHON.symlink_to(sys.executable)
    dev.STAMP.write_text(hashlib.sha256(lock).hexdigest())


def test_an_old_python_can_parse_it() -> None:
    assert ast.parse(DEV.read_text(), feature_version=(3, 8)).body


def test_it_needs_only_the_standard_library() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(DEV.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported <= sys.stdlib_module_names


def test_each_command_has_its_help_and_an_unknown_one_a_list() -> None:
    for command in ("up", "watch", "test", "check", "token", "reset"):
        answer = subprocess.run([DEV, command, "--help"], capture_output=True, text=True, check=True)
        assert answer.stdout.startswith(f"usage: ./dev {command}")

    unknown = subprocess.run([DEV, "deploy"], capture_output=True, text=True, check=False)

    assert unknown.returncode == 2
    assert "no command 'deploy'" in unknown.stderr
    assert "start everything on this machine" in unknown.stderr


def test_the_tests_run_under_coverage_with_their_other_arguments(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_environment(dev, lock=b"locked==1\n")
    run: list[str] = []
    monkeypatch.setattr(dev, "become", run.extend)

    dev.main(["test", "-x", "--cov", "tests/db"])

    assert run[1:3] == ["-m", "tools.coverage"]
    assert run[-2:] == ["-x", "tests/db"]
    assert "--cov" not in run


def test_an_environment_made_from_this_lock_is_used_as_it_is(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_environment(dev, lock=b"locked==1\n")
    monkeypatch.setattr(dev, "install", lambda _: pytest.fail("made again"))

    dev.make_environment()

    assert dev.VENV_PYTHON.exists()


@pytest.mark.parametrize("flaw", ["another lock", "no stamp", "no python"])
def test_an_environment_with_a_flaw_is_made_again(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    whole_environment(dev, lock=b"locked==0\n" if flaw == "another lock" else b"locked==1\n")
    left = dev.VENV / "left"
    left.touch()
    {"another lock": left, "no stamp": dev.STAMP, "no python": dev.VENV_PYTHON}[flaw].unlink()
    monkeypatch.setattr(dev, "install", lambda _: dev.VENV_PYTHON.parent.mkdir(parents=True))

    dev.make_environment()

    assert not left.exists()
    assert dev.STAMP.read_text() == hashlib.sha256(b"locked==1\n").hexdigest()


def test_a_failed_install_leaves_nothing_that_is_taken_for_whole(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def install(_: str) -> None:
        dev.VENV_PYTHON.parent.mkdir(parents=True)
        dev.run([sys.executable, "-c", "raise SystemExit(1)"])

    monkeypatch.setattr(dev, "install", install)

    with pytest.raises(SystemExit, match="1"):
        dev.make_environment()

    assert not dev.VENV.exists()
    assert "It needs the network" in capsys.readouterr().err


def test_without_a_new_enough_python_the_way_out_is_named(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "version_of", lambda _: (3, 9))

    with pytest.raises(SystemExit):
        dev.find_python()

    assert "needs Python 3.11 or newer; found only 3.9." in capsys.readouterr().err


def test_a_python_newer_than_any_tried_is_the_last_resort(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {sys.executable: (3, 15), "/bin/python3.12": (3, 12)}
    monkeypatch.setattr(dev, "version_of", versions.get)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")

    assert dev.find_python() == "/bin/python3.12"

    del versions["/bin/python3.12"]
    assert dev.find_python() == sys.executable
