"""Checks the lock files without the network: complete, without hosts, and consistent with pyproject.toml."""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PRODUCTION_LOCK = "requirements.lock"
DEVELOPMENT_LOCK = "requirements-dev.lock"
BUILD_LOCK = ".ci/build-requirements.lock"
SDK_LOCK = "tests/sdk/requirements.lock"
PEER_LOCK = "benchmarks/peers/fastapi_celery/requirements.lock"
# A lock with a host name works only for those who can reach it, and publishes the network in which it was made.
HOST = re.compile(r"://| @ |^\s*(-i|-f|--(index-url|extra-index-url|find-links|trusted-host))\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One package of a lock file."""

    requirement: Requirement
    has_hash: bool

    @property
    def version(self) -> Version | None:
        """The one version it allows; none when it is no pin."""
        exact = [bound.version for bound in self.requirement.specifier if bound.operator == "=="]
        return Version(exact[0]) if len(exact) == 1 and "*" not in exact[0] else None


def main() -> int:
    """Print every problem; the exit code is 1 when there is one."""
    problems = list(find_problems(ROOT))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def find_problems(root: Path) -> Iterator[str]:
    """Yield every problem of the lock files under `root`, as a sentence."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    product = project["project"]["dependencies"]
    tools = project["dependency-groups"]["dev"]
    direct = {
        PRODUCTION_LOCK: product,
        DEVELOPMENT_LOCK: [*product, *tools],
        BUILD_LOCK: project["build-system"]["requires"],
        SDK_LOCK: _lines((root / SDK_LOCK).with_suffix(".in")),
        PEER_LOCK: _lines((root / PEER_LOCK).with_suffix(".in")),
    }
    for name, requirements in direct.items():
        text = (root / name).read_text()
        yield from (f"{name}: {problem}" for problem in problems_of_lock(text, requirements))
    yield from _differences((root / PRODUCTION_LOCK).read_text(), (root / DEVELOPMENT_LOCK).read_text())


def _lines(requirements: Path) -> list[str]:
    return [line for line in requirements.read_text().splitlines() if line.strip() and not line.startswith("#")]


def problems_of_lock(text: str, requirements: list[str]) -> Iterator[str]:
    """Yield what is wrong with one lock file, whose direct dependencies are `requirements`."""
    for number, line in enumerate(text.splitlines(), start=1):
        if HOST.search(line):
            yield f"line {number} names a host: {line.strip()}"
    pins = read_pins(text)
    for name, pin in pins.items():
        if pin.version is None:
            yield f"{name} is not pinned to one version"
        if not pin.has_hash:
            yield f"{name} has no hash"
    for requirement in map(Requirement, requirements):
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None or pinned.version is None:
            yield f"{requirement.name} is missing, which pyproject.toml asks for"
        elif not requirement.specifier.contains(pinned.version, prereleases=True):
            yield f"{requirement.name} is {pinned.version}, pyproject.toml asks for {requirement.specifier}"


def read_pins(text: str) -> dict[str, Pin]:
    """Return the packages of a lock file by their canonical names; lines that name a host are passed over."""
    logical_lines = text.replace("\\\n", " ").splitlines()
    pins: dict[str, Pin] = {}
    for line in logical_lines:
        if not line.strip() or line.lstrip().startswith(("#", "-")) or HOST.search(line):
            continue
        requirement = Requirement(line.split(" --hash", 1)[0].strip())
        pins[canonicalize_name(requirement.name)] = Pin(requirement=requirement, has_hash="--hash=sha256:" in line)
    return pins


def _differences(production: str, development: str) -> Iterator[str]:
    """Yield where the locks differ: what is tested must be what is shipped."""
    tested = read_pins(development)
    for name, pin in read_pins(production).items():
        if name not in tested:
            yield f"{DEVELOPMENT_LOCK}: {name} is missing, which {PRODUCTION_LOCK} has"
        elif tested[name].version != pin.version:
            yield f"{DEVELOPMENT_LOCK}: {name} is {tested[name].version}, {PRODUCTION_LOCK} has {pin.version}"


if __name__ == "__main__":
    sys.exit(main())
