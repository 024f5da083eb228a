"""Starts the built wheel where it was installed, outside of the tree, and requests its page and one query.

`python -m tools.checks.wheel PYTHON`, where PYTHON is the interpreter of a clean environment with the wheel and the
production lock. PostgreSQL and Valkey are the development environment's embedded ones, and so is the local stack, which
is not in the wheel.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

from tests.support.processes import running
from tests.support.servers import running_postgres, running_valkey
from tools.checks.wheel_names import find_problems, shipped_packages
from tools.devstack.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE_PATHS = ("/graphql", "/graphiql/tabs.js", "/graphiql/boot.js", "/graphiql/page.css")
QUERY = "{ viewer { accountId } instruments(first: 1) { nodes { isin } } }"
ANSWER_TIMEOUT_SECONDS = 10
START_TIMEOUT_SECONDS = 60


def main() -> int:
    """Return 1 when a name of the wheel is not its own, or its answer is not complete.

    Raises AssertionError, with the last output of the processes, when the wheel does not start.
    """
    (python,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        problems = list(find_problems(python, shipped_packages(ROOT), folder=Path(name)))
    for problem in problems:
        print(problem)
    return 1 if problems or not _answers(python) else 0


def _answers(python: str) -> bool:
    """Return whether the installed wheel, run by the local stack, answers the query with all of its parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tools").mkdir()
        (folder / "tools/devstack").symlink_to(ROOT / "tools/devstack")
        with running_postgres(folder / "postgres") as postgres, running_valkey(folder / "valkey") as valkey:
            servers = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
            answer = asyncio.run(_first_answer(python, folder, servers))
    print(f"the installed wheel answers {json.dumps(answer)}")
    data = answer.get("data") or {}
    return data.get("viewer", {}).get("accountId") == "demo" and bool(data.get("instruments", {}).get("nodes"))


async def _first_answer(python: str, folder: Path, servers: dict[str, str]) -> dict[str, dict[str, dict[str, object]]]:
    port, local = free_port(), folder / "local"
    environment = servers | {
        "PORT": str(port),
        "EXCHANGE_PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
        "LOCAL_DIR": str(local),
    }
    async with running(
        ["-m", "tools.devstack", "up"], environment=environment, python=python, directory=folder
    ) as stack:
        await stack.shows("Fillwire is up", within_seconds=START_TIMEOUT_SECONDS)
        await asyncio.to_thread(_read_page, port)
        return await asyncio.to_thread(_query, port, (local / "token").read_text().strip())


def _read_page(port: int) -> None:
    """Raise HTTPError when a file of the page is not in the wheel."""
    for path in PAGE_PATHS:
        request = Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": "text/html"})
        urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS).close()  # noqa: S310  # Our own address, from the line above.


def _query(port: int, token: str) -> dict[str, dict[str, dict[str, object]]]:
    request = Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": QUERY}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS) as reply:  # noqa: S310  # Our own address, from the line above.
        answer: dict[str, dict[str, dict[str, object]]] = json.load(reply)
    return answer


if __name__ == "__main__":
    sys.exit(main())
