"""What `./dev up` runs: the servers, the exchange and Fillwire's processes, each as early as the order allows."""

import asyncio
import os
import time
from pathlib import Path

from tools.devstack import processes
from tools.devstack.addresses import API_PORT_STEP, Addresses, address, choose_addresses
from tools.devstack.database_roles import migrate_settings
from tools.devstack.folder import exclusive_use, prepare_folder, write_secret
from tools.devstack.operator_command import remove_settings, write_settings
from tools.devstack.postgres import prepare_postgres
from tools.devstack.supervisor import Supervisor, supervision
from tools.devstack.terminal import Terminal
from tools.devstack.tokens import DEMO_ACCOUNT, TOKEN_NAME, URL_NAME, write_demo_token
from tools.devstack.valkey import prepare_valkey

NEXT_STEP = (
    'curl -s {graphql} -H "Authorization: Bearer $(cat {token})" -H "Content-Type: application/json" '
    '-d \'{{"query": "{{ instruments(first: 3) {{ nodes {{ isin symbol }} }} }}"}}\''
)


async def up(folder: Path, *, apis: int, workers: int) -> None:
    """Run the whole stack until it is cancelled, and then stop it in order.

    Raises LocalStackError, perhaps inside exception groups, when it cannot start or a program crashes repeatedly.
    """
    began = time.monotonic()
    terminal = Terminal()
    prepare_folder(folder)
    with exclusive_use(folder):
        addresses = choose_addresses(apis=apis, workers=workers)
        addresses.require_free()
        async with supervision(terminal.write) as supervisor:
            try:
                await _start(supervisor, terminal, folder, addresses)
                write_secret(folder / URL_NAME, address(addresses.apis[0], "/graphql"))
                terminal.show(_summary(folder, addresses, seconds=time.monotonic() - began))
                await supervisor.wait()
            finally:
                terminal.report("stopping")
                remove_settings(folder)


async def _start(supervisor: Supervisor, terminal: Terminal, folder: Path, addresses: Addresses) -> None:
    environment = processes.shared_environment(folder, addresses)
    if graphiql_files := processes.graphiql_files():
        # Not awaited: the page loads them from a CDN until they are installed.
        supervisor.begin(graphiql_files)
    async with asyncio.TaskGroup() as foundations:
        if addresses.exchange is not None:
            foundations.create_task(supervisor.start(processes.exchange(addresses.exchange, environment)))
        foundations.create_task(_provide_redis(supervisor, folder, environment))
        foundations.create_task(_provide_database(supervisor, terminal, folder, environment))
        if processes.mints_tokens():
            foundations.create_task(asyncio.to_thread(write_demo_token, folder))
    async with asyncio.TaskGroup() as together:
        together.create_task(supervisor.run(processes.instruments_sync(environment)))
        for process in processes.long_running_processes(addresses, environment):
            together.create_task(supervisor.start(process))
    write_settings(folder, processes.operator_settings(environment))


async def _provide_database(
    supervisor: Supervisor, terminal: Terminal, folder: Path, environment: dict[str, str]
) -> None:
    """Provide a migrated database: the user's at DATABASE_URL, or the embedded one, where each process has its role."""
    if not os.environ.get("DATABASE_URL"):
        server = await prepare_postgres(folder, report=terminal.report, stop_rank=processes.POSTGRES_RANK)
        environment |= migrate_settings(server.url)
        await supervisor.start(server.program)
    await supervisor.run(processes.migrate(environment))


async def _provide_redis(supervisor: Supervisor, folder: Path, environment: dict[str, str]) -> None:
    if not os.environ.get("REDIS_URL"):
        server = prepare_valkey(folder, stop_rank=processes.VALKEY_RANK)
        environment["REDIS_URL"] = server.url
        await supervisor.start(server.program)


def _summary(folder: Path, addresses: Addresses, *, seconds: float) -> str:
    first, *more = addresses.apis
    graphql, token = address(first, "/graphql"), _shown(folder / TOKEN_NAME)
    rows = [
        ("page", f"{graphql} (GraphiQL)"),
        ("GraphQL", f"POST {graphql}, websocket {address(first, '/graphql', scheme='ws')}"),
        *((f"API {number}", address(port, "/graphql")) for number, port in enumerate(more, start=2)),
        ("token", f"{token} (account {DEMO_ACCOUNT})" if processes.mints_tokens() else "from your issuer"),
    ]
    if addresses.exchange is not None:
        rows.append(("exchange", f"{address(addresses.exchange)} (simulated)"))
    rows.append(("next", NEXT_STEP.format(graphql=graphql, token=token)))
    ports = f"; each further API is {API_PORT_STEP} ports higher" if more else ""
    return "\n".join(
        [f"Fillwire is up after {seconds:.1f} s{ports}.", *(f"  {name:<11} {text}" for name, text in rows)]
    )


def _shown(path: Path) -> str:
    """Return the path relative to the project's folder when it is inside."""
    return str(path.relative_to(processes.ROOT)) if path.is_relative_to(processes.ROOT) else str(path)
