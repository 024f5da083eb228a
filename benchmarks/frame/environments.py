"""Separate environments for the peers: their packages are never mixed with ours, and come from lock files only.

They are created once, in `.venv-bench-*` and in `node_modules`, and recreated when their lock changes.
"""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

INSTALL_TIMEOUT_SECONDS = 300
NPM_QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


class PeerMissingError(Exception):
    """The peer's packages are not available here; it is left out."""


async def python_of(peer: Path) -> str:
    """Return the Python of an environment with the packages of the peer's requirements.lock. Raises
    PeerMissingError.
    """
    environment = ROOT / f".venv-bench-{peer.name.replace('_', '-')}"
    lock, python = peer / "requirements.lock", environment / "bin" / "python"
    if not _is_made_from(lock, environment):
        shutil.rmtree(environment, ignore_errors=True)
        await _run([sys.executable, "-m", "venv", str(environment)], ROOT)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]
        await _run([str(python), *install, str(lock)], ROOT)
        shutil.copy(lock, _stamp(lock, environment))
    return str(python)


async def node_of(peer: Path) -> str:
    """Return the Node that finds the packages of the peer's package-lock.json. Raises PeerMissingError."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PeerMissingError("there is no Node here")
    lock, modules = peer / "package-lock.json", peer / "node_modules"
    if not _is_made_from(lock, modules):
        await _run([npm, "ci", "--ignore-scripts", *NPM_QUIET], peer)
        shutil.copy(lock, _stamp(lock, modules))
    return node


def _is_made_from(lock: Path, environment: Path) -> bool:
    stamp = _stamp(lock, environment)
    return stamp.is_file() and stamp.read_bytes() == lock.read_bytes()


def _stamp(lock: Path, environment: Path) -> Path:
    return environment / f"installed-from-{lock.name}"


async def _run(command: list[str], directory: Path) -> None:
    try:
        await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=directory,
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"{' '.join(command[:3])} failed: {error.stderr.strip().splitlines()[-1:]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerMissingError(f"{' '.join(command[:3])} took too long") from error
