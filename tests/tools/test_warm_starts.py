"""Processes that are forked with their imports made are as those that are started."""

import signal

from tests.support.processes import running
from tools.devstack.ports import free_port

REFUSED = {"DATABASE_URL": "postgresql://user@127.0.0.1/name", "REDIS_URL": "redis://127.0.0.1/0"}


async def test_a_forked_process_has_the_output_and_exit_code_of_a_started_one() -> None:
    reported = []
    for is_cold in (False, True):
        async with running(["-m", "runtime", "worker"], environment=REFUSED, is_cold=is_cold) as process:
            reported.append((await process.ends(within_seconds=20), process))

    (warm_code, warm), (cold_code, cold) = reported
    assert (warm_code, warm.output) == (cold_code, cold.output)
    assert warm_code == 2


async def test_a_forked_process_can_be_killed_and_terminated() -> None:
    codes = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        port = free_port()
        url = f"http://127.0.0.1:{port}/healthz"
        environment = {"EXCHANGE_PORT": str(port), "PATH": ""}
        async with running(["-m", "runtime", "exchange"], environment=environment, ready_url=url) as process:
            process.send(number)
            codes.append(await process.ends(within_seconds=20))

    assert codes == [-signal.SIGKILL, 0]
