"""Runs the steps of `./dev check`, and prints the time of each and those that failed."""

import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sysconfig.get_path("scripts"))
STEPS_AT_ONCE = 2
STEP_TIMEOUT_SECONDS = 600
SOURCES = (".", "dev")  # Ruff finds *.py by itself; `dev` has no suffix.


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One check, and the command that fixes what it finds, if there is one."""

    name: str
    command: Sequence[str]
    fix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a step ended."""

    step: Step
    passed: bool
    output: str
    seconds: float


def program(name: str, *arguments: str) -> list[str]:
    """Return the command of a program that was installed into our environment."""
    return [str(PROGRAMS / name), *arguments]


def module(name: str, *arguments: str) -> list[str]:
    """Return the command of a Python module."""
    return [sys.executable, "-m", name, *arguments]


STEPS = (
    Step(name="types", command=program("mypy")),
    Step(
        name="formatting",
        command=program("ruff", "format", "--check", *SOURCES),
        fix=".venv/bin/ruff format . dev",
    ),
    Step(name="lint", command=program("ruff", "check", *SOURCES), fix=".venv/bin/ruff check --fix . dev"),
    Step(name="import contracts", command=program("lint-imports")),
    Step(
        name="schema drift",
        command=module("graph.schema.export", "--check"),
        fix=".venv/bin/python -m graph.schema.export",
    ),
    Step(name="schema changes", command=module("tools.checks.schema_changes")),
    Step(
        name="compose file",
        command=program("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
    ),
    Step(
        name="workflows",
        command=program("check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"),
    ),
    Step(name="Dockerfile", command=program("hadolint", "Dockerfile")),
    Step(name="lock files", command=module("tools.checks.locks")),
    Step(name="paths in pages", command=module("tools.checks.paths")),
)


def main() -> int:
    """Run all steps, even after a failure; return 1 when one failed."""
    if len(sys.argv) > 1:
        print(f"dev check takes no arguments: {' '.join(sys.argv[1:])}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=STEPS_AT_ONCE) as pool:
        results = []
        for ended in as_completed([pool.submit(run, step) for step in STEPS]):
            result = ended.result()
            show(result)
            results.append(result)
    failed = [result.step.name for result in results if not result.passed]
    print(f"\n{len(results)} checks in {time.monotonic() - began:.1f} s: ", end="")
    print(f"{len(failed)} failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def run(step: Step) -> Result:
    """Run one step to its end."""
    began = time.monotonic()
    try:
        answer = subprocess.run(
            step.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Result(step=step, passed=False, output=str(error), seconds=time.monotonic() - began)
    return Result(step=step, passed=answer.returncode == 0, output=answer.stdout, seconds=time.monotonic() - began)


def show(result: Result) -> None:
    """Print one line for a step that passed; what it found for one that failed."""
    print(f"{'ok    ' if result.passed else 'FAILED'} {result.step.name:<17} {result.seconds:5.1f} s", flush=True)
    if not result.passed:
        print("\n".join(f"       {line}" for line in result.output.rstrip().splitlines()))
        if result.step.fix:
            print(f"       To fix: {result.step.fix}")


if __name__ == "__main__":
    sys.exit(main())
