"""PgBouncer in transaction mode, in front of the tests' PostgreSQL."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit, urlunsplit

from tests.support.debian_programs import debian_program
from tests.support.processes import running
from tools.devstack.ports import free_port, is_taken

USER = "nobody"
"""PgBouncer refuses to run as root."""

CONFIGURATION = """
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {pool_connections}
max_client_conn = 500
"""


@asynccontextmanager
async def pgbouncer(url: str, *, logins: Sequence[str], pool_connections: int) -> AsyncIterator[str]:
    """Yield the URL that leads through PgBouncer. `logins` are URLs with all users that connect through it."""
    program = debian_program("pgbouncer")
    parts, port = urlsplit(url), free_port()
    with TemporaryDirectory(prefix="fillwire-pgbouncer-") as name:
        folder = Path(name)
        _make_readable(folder)
        users = [
            f'"{unquote(login.username or "")}" "{unquote(login.password or "")}"' for login in map(urlsplit, logins)
        ]
        (folder / "users.txt").write_text("\n".join(users) + "\n")
        configuration = CONFIGURATION.format(
            host=parts.hostname, server_port=parts.port, port=port, folder=folder, pool_connections=pool_connections
        )
        (folder / "pgbouncer.ini").write_text(configuration)

        async def is_ready() -> bool:
            return is_taken(port)

        as_user = ["-u", USER] if os.geteuid() == 0 else []
        async with running(
            [*as_user, str(folder / "pgbouncer.ini")], environment={}, ready=is_ready, python=str(program)
        ):
            login = parts.netloc.rpartition("@")[0]
            yield urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))


def _make_readable(folder: Path) -> None:
    folder.chmod(0o755)
