"""One trial: a fault is planted in a copy of the tree, and the tests that must find it are run there."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from pathlib import Path

from tools.mutants.mutant import Mutant

FAILED, PASSED = 1, 0
"""Exit codes of pytest; every other one means that the tests did not run to an answer."""
FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
STOP_WITHIN_SECONDS = 10
YEAR_SECONDS = 365 * 24 * 3600

_planted = count()


class Verdict(Enum):
    """What became of a fault."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    TIMED_OUT = "TIMED OUT"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The outcome for one fault. `by` is the first test that failed; `output` is shown where a person must check."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    by: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """The end of a run of pytest. `code` is None when it took too long."""

    __test__ = False

    code: int | None
    output: str


def copy_tree(root: Path, copy: Path) -> None:
    """Copy the files known to Git, changed or new, so that the working tree is never touched; share its packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the developer's own
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = root / name, copy / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(source.stat().st_mode)
    if (root / ".venv").exists() and not (copy / ".venv").exists():
        (copy / ".venv").symlink_to((root / ".venv").resolve())


def run_tests(tree: Path, tests: Sequence[str], *, seconds: float) -> TestRun:
    """Run pytest in the tree until the first failure. A run that takes too long is killed, with all its processes."""
    environment = {**os.environ, "CI": "1"}  # The same examples of Hypothesis each time.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", *tests]
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        try:
            output, _ = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            running.terminate()  # pytest ends its servers then.
            try:
                output, _ = running.communicate(timeout=STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
                output, _ = running.communicate()
            return TestRun(code=None, output=output)
    return TestRun(code=running.returncode, output=output)


def try_mutant(mutant: Mutant, tree: Path, *, seconds: float) -> Trial:
    """Plant the fault in the tree, run its tests, and take it out again. Raises MutantError when it does not apply."""
    path = tree / mutant.file
    source, changed_at = path.read_text(), path.stat().st_mtime
    path.write_text(mutant.planted(source))
    # What Python compiled is found by the source's size and second of change: a fault may change neither.
    os.utime(path, (changed_at, changed_at - YEAR_SECONDS - next(_planted)))
    began = time.monotonic()
    try:
        run = run_tests(tree, mutant.tests, seconds=seconds)
    finally:
        path.write_text(source)
        os.utime(path, (changed_at, changed_at))
    took = time.monotonic() - began
    if run.code == FAILED:
        failure = FIRST_FAILURE.search(run.output)
        return Trial(mutant=mutant, verdict=Verdict.KILLED, seconds=took, by=failure[1] if failure is not None else "?")
    verdict = {PASSED: Verdict.SURVIVED, None: Verdict.TIMED_OUT}.get(run.code, Verdict.BROKEN)
    return Trial(mutant=mutant, verdict=verdict, seconds=took, output=run.output)
