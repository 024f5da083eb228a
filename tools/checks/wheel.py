"""Starts the built wheel where it was installed, outside of the tree, and requests its page and one query.

`python -m tools.checks.wheel PYTHON`, where PYTHON is the interpreter of a clean environment that holds the wheel and
the production lock. PostgreSQL and Valkey are the development environment's embedded ones.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

from tests.support.processes import running
from tests.support.servers import running_postgres, running_valkey
from tools.devstack.ports import free_port

PAGE_PATHS = ("/graphql", "/graphiql/boot.js", "/graphiql/page.css")
QUERY = "{ viewer { accountId } instruments(first: 1) { nodes { isin } } }"
ANSWER_TIMEOUT_SECONDS = 10
START_TIMEOUT_SECONDS = 60


def main() -> int:
    """Exit code 1, with the processes' last lines, when the wheel does not start or the answer is not a whole one."""
    (python,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_postgres(folder / "postgres") as postgres, running_valkey(folder / "valkey") as valkey:
            servers = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
            answer = asyncio.run(_first_answer(python, folder, servers))
    print(f"the installed wheel answers {json.dumps(answer)}")
    data = answer.get("data") or {}
    return 0 if data.get("viewer", {}).get("accountId") == "demo" and data.get("instruments", {}).get("nodes") else 1


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
    """Raises HTTPError when a file of the page is not in the wheel."""
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
