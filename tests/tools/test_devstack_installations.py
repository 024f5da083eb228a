"""Which server programs are used: the locked wheel, then the machine's own, then an alternative."""

from pathlib import Path

import pytest

from tools.devstack import installations
from tools.devstack.errors import LocalStackError
from tools.devstack.installations import find_postgres, find_valkey


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


@pytest.fixture
def _no_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulate a platform without the wheels, and with nothing else installed."""
    monkeypatch.setattr(installations, "wheel_folder", lambda _: None)
    monkeypatch.setattr(installations, "SYSTEM_POSTGRES_FOLDERS", str(tmp_path / "postgresql"))
    monkeypatch.setattr(installations, "BREW_PREFIXES", (tmp_path / "brew",))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_the_locked_wheels_precede_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("postgres", "initdb", "valkey-server"):
        executable(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert installations.POSTGRES_WHEEL in find_postgres().postgres
    assert installations.VALKEY_WHEEL in find_valkey()


@pytest.mark.usefixtures("_no_wheels")
def test_programs_on_the_path_are_found_where_they_really_lie(tmp_path: Path) -> None:
    installed = executable(tmp_path / "opt" / "bin" / "postgres")
    executable(tmp_path / "opt" / "bin" / "initdb")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(installed)
    redis = executable(tmp_path / "bin" / "redis-server")

    assert find_postgres().folder == installed.parent
    assert find_valkey() == str(redis)


@pytest.mark.usefixtures("_no_wheels")
def test_the_newest_installed_postgres_is_taken(tmp_path: Path) -> None:
    for major in ("9", "17", "18"):
        for name in ("postgres", "initdb"):
            executable(tmp_path / "postgresql" / major / "bin" / name)

    assert find_postgres().folder == tmp_path / "postgresql" / "18" / "bin"


@pytest.mark.usefixtures("_no_wheels")
def test_a_postgres_without_initdb_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "postgres")
    for name in ("postgres", "initdb"):
        executable(tmp_path / "brew" / "postgresql@17" / "bin" / name)

    assert find_postgres().folder == tmp_path / "brew" / "postgresql@17" / "bin"


@pytest.mark.usefixtures("_no_wheels")
def test_without_any_server_the_way_out_is_named() -> None:
    with pytest.raises(LocalStackError, match="DATABASE_URL="):
        find_postgres()
    with pytest.raises(LocalStackError, match="REDIS_URL="):
        find_valkey()
