# ruff: noqa: INP001 - a script that is run by its path, not a package
"""Install GraphiQL's files where the API serves them in development, so that it works without internet.

Standard library only: `python3 tools/graphiql/install.py`, with `--quiet` for no output when it is already installed.
It needs node and npm once; without them, or without a registry, it reports so, and the page loads the same files from a
CDN.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "graph" / "http" / "static" / "graphiql"
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
FALL_BACK = "Until it is, its page loads it from unpkg.com."


def main(arguments: list[str]) -> int:
    """Install unless it is done, and print the result; the exit code is 0 also when it failed."""
    # As an exception, so that npm is ended and its folder deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if is_installed():
        if "--quiet" not in arguments:
            print("GraphiQL is in place.")
        return 0
    try:
        problem = install()
    except OSError as error:
        problem = str(error)
    print(f"GraphiQL is not installed: {problem}. {FALL_BACK}" if problem else "GraphiQL was installed.")
    return 0


def is_installed() -> bool:
    """Return whether the files of this very lock are in place."""
    stamp = TARGET / STAMP
    return stamp.is_file() and stamp.read_bytes() == (HERE / "package-lock.json").read_bytes()


def install() -> str:
    """Fetch the locked packages and move their files into place, all or nothing; return the reason of a failure."""
    npm = shutil.which("npm")
    missing = [name for name, path in (("node", shutil.which("node")), ("npm", npm)) if path is None]
    if npm is None or missing:
        return f"{' and '.join(missing)} not found"
    with tempfile.TemporaryDirectory(prefix="fillwire-graphiql-") as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, work / name)
        problem = _run(npm, work)
        if not problem:
            _put_into_place(work / "node_modules")
    return problem


def _run(npm: str, work: Path) -> str:
    # Scripts of packages are not run; the lock's hashes decide which files are accepted. One quick retry: with npm's
    # default settings a machine without a network fails after minutes.
    retry = ["--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=500"]
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    command = [npm, "ci", "--ignore-scripts", "--prefer-offline", *retry, *quiet]
    try:
        answer = subprocess.run(
            command, cwd=work, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"npm took longer than {INSTALL_TIMEOUT_SECONDS} seconds"
    return "" if answer.returncode == 0 else f"npm failed ({_reason(answer.stderr)})"


def _reason(errors: str) -> str:
    """Return npm's first line with the error; hints and log paths follow it."""
    lines = [line.removeprefix("npm error").strip() for line in errors.splitlines()]
    said = [line for line in lines if line and not line.startswith(("code ", "errno ", "syscall "))]
    return (said or ["without a reason"])[0].rstrip(".")


def _put_into_place(modules: Path) -> None:
    """Collect the files next to the target and rename, so that no client gets an incomplete set."""
    new = Path(tempfile.mkdtemp(prefix=f"{TARGET.name}.", dir=TARGET.parent))
    try:
        new.chmod(0o755)
        for source, name in FILES.items():
            shutil.copy(modules / source, new / name)
        shutil.copy(HERE / "package-lock.json", new / STAMP)
        shutil.rmtree(TARGET, ignore_errors=True)
        new.rename(TARGET)
    finally:
        shutil.rmtree(new, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
