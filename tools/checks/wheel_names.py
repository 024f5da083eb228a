"""Checks the names of an installed wheel: its packages are its own, are typed, and start with other packages of those
names installed.

The wheel's packages have common names (`domain`, `runtime`), which another distribution or a folder could have as well.
"""

import json
import subprocess
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

DISTRIBUTION = "fillwire"
COMMAND_TIMEOUT_SECONDS = 60
INSTALLED_NAMES = f"""
import json
from importlib.metadata import files, packages_distributions
print(json.dumps([packages_distributions(), [str(path) for path in files({DISTRIBUTION!r})]]))
"""


def shipped_packages(root: Path) -> list[str]:
    """Return the top-level packages that pyproject.toml puts into the wheel."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return packages


def find_problems(python: str, shipped: Collection[str], *, folder: Path) -> Iterator[str]:
    """Yield what is wrong with the wheel that is installed for `python`, as sentences; `folder` is an empty one."""
    owners, files = json.loads(_output([python, "-I", "-c", INSTALLED_NAMES], folder))
    yield from problems_of_packages(shipped, owners=owners, files=files)
    yield from _problems_of_start(python, folder)


def problems_of_packages(
    shipped: Collection[str], *, owners: Mapping[str, Sequence[str]], files: Collection[str]
) -> Iterator[str]:
    """Yield each package that is missing, shared with another distribution, untyped, or unintentionally included."""
    for package in shipped:
        names = set(owners.get(package, ()))
        if names != {DISTRIBUTION}:
            yield f"{package} belongs to {', '.join(sorted(names)) or 'no distribution'}, not to {DISTRIBUTION} alone"
        if f"{package}/py.typed" not in files:
            yield f"{package} has no py.typed"
    for package, distributions in owners.items():
        if DISTRIBUTION in distributions and package not in shipped:
            yield f"{package} is installed by {DISTRIBUTION}, pyproject.toml does not name it"


def _problems_of_start(python: str, folder: Path) -> Iterator[str]:
    """Start the commands in a folder that contains another `runtime`, which a plain `python -m runtime` would run."""
    other = folder / "runtime"
    other.mkdir()
    (other / "__init__.py").touch()
    (other / "__main__.py").write_text("print('another runtime')\n", encoding="utf-8")
    script = str(Path(python).with_name(DISTRIBUTION))
    for command, usage in (
        (
            [python, "-m", "runtime"],
            "another runtime",
        ),  # Otherwise the folder has no effect, and the check proves nothing.
        ([python, "-P", "-m", "runtime"], "usage: python -m runtime "),
        ([script], "usage: fillwire "),
    ):
        output = _output([*command, "--help"], folder)
        if not output.startswith(usage):
            yield f"{' '.join(command)} in a folder with another runtime/ says {output[:80]!r}, not {usage!r}"


def _output(command: Sequence[str], folder: Path) -> str:
    """Return what the command prints in `folder`; raises CalledProcessError, FileNotFoundError or TimeoutExpired."""
    answer = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, timeout=COMMAND_TIMEOUT_SECONDS
    )
    return answer.stdout
