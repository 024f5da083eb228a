"""Programs of Debian packages: where one is missing a test is skipped, but not in CI, which installs them."""

import os
import shutil
from pathlib import Path

import pytest

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where Debian puts servers, and which a plain user's PATH leaves out."""


def debian_program(name: str) -> Path:
    """Return the program's path. Without it skip the test, or in CI fail it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS)))
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is missing, which .ci/run installs")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return Path(found)
