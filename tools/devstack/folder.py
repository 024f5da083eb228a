"""The local data folder: its permissions, its lock, and its secrets."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.devstack.errors import LocalStackError

FOLDER_MODE = 0o700
SECRET_MODE = 0o600
SECRET_BYTES = 48
SUFFIX_BYTES = 8
LOCK_NAME = "fillwire.lock"  # Also marks a folder that may be deleted.


def prepare_folder(path: Path) -> None:
    """Create the folder, or use an earlier run's; raise LocalStackError when it contains other files."""
    if path.is_dir() and any(path.iterdir()) and not (path / LOCK_NAME).exists():
        raise LocalStackError(f"{path} holds files that are not ours. Choose another folder: LOCAL_DIR=…")
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        path.chmod(FOLDER_MODE)
        (path / LOCK_NAME).touch(mode=SECRET_MODE)
    except OSError as error:
        raise LocalStackError(f"{path} cannot be used: {error.strerror}. Choose another: LOCAL_DIR=…") from error


@contextmanager
def exclusive_use(path: Path) -> Iterator[None]:
    """Lock the folder for this process; raise LocalStackError, naming the process that holds the lock."""
    with (path / LOCK_NAME).open("r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalStackError(f"already running here (pid {file.read().strip() or 'unknown'}): {path}") from error
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def delete_folder(path: Path) -> bool:
    """Delete the folder; return False when there is none. Raise LocalStackError when it is in use or not ours."""
    if not path.exists():
        return False
    if not (path / LOCK_NAME).is_file():
        raise LocalStackError(f"{path} was not made by Fillwire (it has no {LOCK_NAME}); nothing was deleted.")
    with exclusive_use(path):
        shutil.rmtree(path)
    return True


def stored_secret(path: Path) -> str:
    """Return the secret in the file, created at random the first time; concurrent callers get the same one."""
    if not path.exists():
        new = _written_together(path, secrets.token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):
            path.hardlink_to(new)
        new.unlink()
    return path.read_text(encoding="ascii").strip()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    _written_together(path, text).replace(path)


def _written_together(path: Path, text: str) -> Path:
    new = path.with_name(f"{path.name}.{secrets.token_hex(SUFFIX_BYTES)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE), "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
    return new
