# ruff: noqa: INP001 - a script that is run by its path, not a package
"""Put GraphiQL's files where the API serves them in development, so that it works without internet.

Standard library only, for ./dev to call: `python3 tools/graphiql/install.py`. It needs node and npm once; without them
it says so and leaves the API to its fall-back, a page that loads GraphiQL from a CDN.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "graph" / "static" / "graphiql"
INSTALL_TIMEOUT_SECONDS = 300
STAMP = "installed-from.json"
FILES = {
    "react/umd/react.production.min.js": "react.js",
    "react-dom/umd/react-dom.production.min.js": "react-dom.js",
    "graphiql/graphiql.min.js": "graphiql.js",
    "graphiql/graphiql.min.css": "graphiql.css",
    "@graphiql/plugin-explorer/dist/index.umd.js": "explorer.js",
    "@graphiql/plugin-explorer/dist/style.css": "explorer.css",
}


def is_installed() -> bool:
    """Whether the files of this very lock are in place."""
    stamp = TARGET / STAMP
    lock = HERE / "package-lock.json"
    return stamp.is_file() and stamp.read_bytes() == lock.read_bytes()


def install() -> str:
    """Install unless it is done; gives one sentence on what happened. It never raises for a missing network."""
    if is_installed():
        return "GraphiQL is in place."
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "GraphiQL was not installed: node and npm are missing. Its page will load from a CDN."
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, work / name)
        problem = _run(npm, work)
        if problem:
            return f"GraphiQL was not installed: {problem} Its page will load from a CDN."
        _copy(work / "node_modules")
    return "GraphiQL was installed."


def _run(npm: str, work: Path) -> str:
    # Scripts of packages are never run; the lock's hashes say what is taken.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=work, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"npm took longer than {INSTALL_TIMEOUT_SECONDS} seconds."
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr.strip().splitlines() or ["npm failed."])[-1]
        return f"{last_line}."
    return ""


def _copy(modules: Path) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        shutil.copy(modules / source, TARGET / name)
    # Last, so that a copy that was cut short is done again.
    shutil.copy(HERE / "package-lock.json", TARGET / STAMP)


if __name__ == "__main__":
    sys.stdout.write(install() + "\n")
