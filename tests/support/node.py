"""Node and the locked npm packages of tests/support/npm, for tests that run JavaScript clients against the API.

`python -m tests.support.node` installs the packages beforehand.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "npm"
MODULES = PROJECT / "node_modules"
LOCK = PROJECT / "package-lock.json"
STAMP = MODULES / "installed-from.json"
INSTALL_TIMEOUT_SECONDS = 300
QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


def need_program(*names: str) -> str:
    """Return the first of these programs that is installed; without any the test is skipped, and fails in CI."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    sentence = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI"):
        pytest.fail(f"{sentence}: in CI this test must run, see .ci/run")
    pytest.skip(sentence)


def install_modules() -> Path:
    """Return the folder of the locked packages, installed by the first process of the test run that needs it."""
    npm = need_program("npm")
    with LOCK.open() as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not (STAMP.is_file() and STAMP.read_bytes() == LOCK.read_bytes()):
            # Scripts of packages are not run; the lock's hashes decide which files are accepted.
            command = [npm, "ci", "--ignore-scripts", "--prefer-offline", *QUIET]
            answer = subprocess.run(
                command, cwd=PROJECT, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS
            )
            assert answer.returncode == 0, f"npm could not install tests/support/npm: {answer.stderr}"
            shutil.copy(LOCK, STAMP)
    return MODULES


if __name__ == "__main__":
    install_modules()
