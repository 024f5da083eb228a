"""Selects the user of PostgreSQL and the place of its data, since it refuses to run as root.

An ordinary user runs it as that user. Root runs it inside a user namespace, mapped to nobody: the data stay in the
local folder, and no account, owner or mode changes. Where that is forbidden (seccomp in a container, AppArmor), or the
folders cannot be reached that way, it runs as the account nobody, from a folder in /var/tmp.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.errors import LocalStackError
from tools.devstack.folder import FOLDER_MODE
from tools.devstack.installations import POSTGRES_MIN_MAJOR, PostgresPrograms
from tools.devstack.launch import NOBODY_ID
from tools.devstack.running import Identity, run_to_end

NOBODY_PARENT = Path("/var/tmp")  # noqa: S108  # Used through `_chown_to_nobody`, which refuses what another user made.
DIGEST_CHARACTERS = 16
WHEEL_DEPTH = 2  # The programs are in <package>/pginstall18/bin, their libraries in <package>.libs next to the package.


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """How and where one PostgreSQL server runs."""

    programs: PostgresPrograms
    identity: Identity
    folder: Path  # The data folder's parent.
    major: int


async def choose_home(programs: PostgresPrograms, folder: Path) -> Home:
    """Return the first way to run PostgreSQL for `folder` that works here; raise LocalStackError when none does."""
    if os.geteuid() != 0:
        return await _home(programs, Identity.OWN, folder)
    other = nobody_folder(folder)
    if not other.exists():
        try:
            return await _home(programs, Identity.MAPPED, folder)
        except LocalStackError:
            # Forbidden here, or the folders are unreachable: the alternative raises its own error.
            pass
    _chown_to_nobody(other)
    return await _home(_readable_copy(programs, other), Identity.NOBODY, other)


def nobody_folder(folder: Path) -> Path:
    """Return where the data of `folder` are when PostgreSQL runs as nobody."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()
    return NOBODY_PARENT / f"fillwire-{digest[:DIGEST_CHARACTERS]}"


async def _home(programs: PostgresPrograms, identity: Identity, folder: Path) -> Home:
    """Run `postgres --version`, which needs the identity, the folder and the program's libraries."""
    answer = await run_to_end([programs.postgres, "--version"], identity=identity, directory=folder)
    found = re.search(r"PostgreSQL\) (\d+)", answer)
    if found is None:
        raise LocalStackError(f"{programs.postgres} is not a PostgreSQL server: it printed {answer!r}.")
    major = int(found.group(1))
    if major < POSTGRES_MIN_MAJOR:
        raise LocalStackError(
            f"{programs.postgres} is PostgreSQL {major}; Fillwire needs {POSTGRES_MIN_MAJOR} or newer. "
            "Install one, or name a running one: DATABASE_URL=postgresql://user:password@host:5432/name ./dev up"
        )
    return Home(programs=programs, identity=identity, folder=folder, major=major)


def _chown_to_nobody(folder: Path) -> None:
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid not in {0, NOBODY_ID}:
        raise LocalStackError(f"{folder} belongs to another user. Remove it, or do not run this as root.")
    os.chown(folder, NOBODY_ID, NOBODY_ID)


def _readable_copy(programs: PostgresPrograms, folder: Path) -> PostgresPrograms:
    """Return a copy of the wheel's programs that nobody can read, with the libraries at the same relative path."""
    package = programs.folder.parents[WHEEL_DEPTH - 1]
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        # A PostgreSQL of the machine: every user may run it where it is.
        return programs
    copy = folder / "programs" / package.name / programs.folder.parent.name
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(libraries, copy.parents[1] / libraries.name, dirs_exist_ok=True)
        shutil.copytree(programs.folder.parent, unfinished, symlinks=True)
        unfinished.rename(copy)
    return PostgresPrograms(folder=copy / programs.folder.name)
