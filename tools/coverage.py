"""`./dev test --cov`: runs the tests with branch coverage, also of the processes that they start, and reports it.

A process that is killed (SIGKILL), as many tests do, records nothing.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / ".local" / "coverage" / "data"
REPORT = DATA.with_suffix(".json")
NAMED_BELOW_PERCENT = 85.0


def main(arguments: list[str]) -> int:
    """Run pytest, print the files under NAMED_BELOW_PERCENT and the overall figure, and return pytest's exit code."""
    shutil.rmtree(DATA.parent, ignore_errors=True)
    DATA.parent.mkdir(parents=True)
    code = coverage("run", "-m", "pytest", *arguments)
    if coverage("combine", "--quiet") or coverage("json", "--quiet", "-o", str(REPORT)):
        return code or 1
    print(*lines_of(orjson.loads(REPORT.read_bytes())), sep="\n")
    return code


def coverage(command: str, *arguments: str) -> int:
    """Run one of coverage.py's commands, with its settings in pyproject.toml, and return its exit code."""
    line = [sys.executable, "-m", "coverage", command, f"--data-file={DATA}", *arguments]
    return subprocess.run(line, cwd=ROOT, check=False).returncode


def lines_of(report: Mapping[str, Any]) -> Iterable[str]:
    """Return each file under NAMED_BELOW_PERCENT, the least covered first, and then the overall figure."""
    percent = {name: file["summary"]["percent_covered"] for name, file in report["files"].items()}
    for name in sorted((name for name in percent if percent[name] < NAMED_BELOW_PERCENT), key=percent.__getitem__):
        yield f"{percent[name]:5.1f} %  {name}"
    yield f"{report['totals']['percent_covered']:5.1f} %  of statements and branches, {len(percent)} files"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
