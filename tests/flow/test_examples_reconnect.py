"""The examples when tokens expire or are refused, and when their process was frozen, as that of a closed laptop is."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.flow.examples import EXAMPLES, FOLLOWER, LAST_VERSION, WITH_SOCKETS, WITHIN_SECONDS, all_started, started
from tests.support.node import INSTALL_TIMEOUT_SECONDS
from tests.support.processes import RunningProcess, eventually
from tests.support.proxy import Proxy
from tests.support.system import System, token

pytestmark = pytest.mark.timeout(INSTALL_TIMEOUT_SECONDS + 60)  # The first test installs the packages.

SHORT_TOKEN_SECONDS = 8
CLOSED_AT_EXPIRY = 'sockets_closed_total{reason="expired"'


class TokenFile:
    """The file in which the examples find their token, as `./dev up` writes it."""

    def __init__(self, examples: Path) -> None:
        self._path = examples.parent / ".local" / "token"
        self._path.parent.mkdir(exist_ok=True)
        self.text = ""

    def write(self, text: str) -> None:
        """Replace the token, in one step."""
        self.text = text
        written = self._path.with_suffix(".new")
        written.write_text(text)
        written.replace(self._path)

    async def keep_fresh(self, account: str) -> None:
        """Write a token of eight seconds every four."""
        while True:
            self.write(token(account, seconds=SHORT_TOKEN_SECONDS))
            await asyncio.sleep(SHORT_TOKEN_SECONDS / 2)


@pytest.fixture
def token_file(compiled: Path) -> TokenFile:
    """Return the checkout's folder."""
    return TokenFile(compiled)


async def test_every_example_goes_on_with_its_next_token_when_one_of_eight_seconds_expires(
    compiled: Path, system: System, token_file: TokenFile, tmp_path: Path
) -> None:
    account = secrets.token_hex(8)
    before = await system.metric(CLOSED_AT_EXPIRY)
    refreshing = asyncio.create_task(token_file.keep_fresh(account))
    cursor = str(tmp_path / "cursor")

    async def all_closed() -> bool:
        return await system.metric(CLOSED_AT_EXPIRY) >= before + len(WITH_SOCKETS) + 1

    try:
        async with AsyncExitStack() as stack:
            follower = await stack.enter_async_context(started(FOLLOWER, cursor, folder=compiled, url=system.api_url))
            await follower.shows("CHECKPOINT", within_seconds=WITHIN_SECONDS)
            examples = await stack.enter_async_context(
                all_started(system, EXAMPLES, folder=compiled, url=system.api_url, account=account)
            )
            # What is connected by now is with this token or an older one.
            await refused(system, token_file.text)
            await eventually(all_closed, within_seconds=WITHIN_SECONDS)
            await examples.fill("20")
            await examples.show("PARTIALLY_FILLED", "50")
            await examples.fill("40")
            await examples.end()
            await eventually(
                lambda: len(changes(follower)) >= LAST_VERSION * len(EXAMPLES), within_seconds=WITHIN_SECONDS
            )
    finally:
        refreshing.cancel()
    assert len(set(changes(follower))) == len(changes(follower)) == LAST_VERSION * len(EXAMPLES)


def changes(follower: RunningProcess) -> list[str]:
    """Return the changes that it has shown, of all orders of the account."""
    return [line for line in follower.output if line.startswith("CHANGE")]


async def refused(system: System, bearer: str) -> None:
    """Wait until the token is valid no more."""

    async def is_refused() -> bool:
        headers = {"authorization": f"Bearer {bearer}"}
        async with system.session.get(f"{system.api_url}/graphql?query={{__typename}}", headers=headers) as response:
            return response.status == 401

    await eventually(is_refused, within_seconds=WITHIN_SECONDS, what="the token's end")


async def test_every_example_ends_with_the_code_when_its_next_token_is_refused(
    compiled: Path, system: System, token_file: TokenFile, api_proxy: tuple[Proxy, str]
) -> None:
    proxy, url = api_proxy
    account = secrets.token_hex(8)
    token_file.write(token(account))
    async with all_started(system, EXAMPLES, folder=compiled, url=url, account=account) as examples:
        token_file.write("refused")
        await proxy.refuse()
        await proxy.restore()
        for example, process in zip(EXAMPLES, examples.processes, strict=True):
            assert await process.ends(within_seconds=WITHIN_SECONDS) == 1, process.output
            code = "4401" if example in WITH_SOCKETS else "UNAUTHENTICATED"
            await process.shows(code, within_seconds=WITHIN_SECONDS)


@pytest.fixture
async def often_pinging(system: System) -> AsyncIterator[str]:
    """Provide the URL of an API that notices within two seconds that a client is frozen."""
    system.own_settings["api"] = {"SOCKET_PING_SECONDS": "1"}
    try:
        await system.start("api-2")
    finally:
        del system.own_settings["api"]
    yield f"http://127.0.0.1:{system.ports['api-2']}"
    await system.stop("api-2")


async def test_every_example_resumes_after_it_was_frozen_for_longer_than_the_server_waits(
    compiled: Path, system: System, token_file: TokenFile, often_pinging: str
) -> None:
    account = secrets.token_hex(8)
    token_file.write(token(account))

    async def none_is_connected() -> bool:
        return await system.metric("sockets ", head="api-2") == 0

    async with all_started(system, WITH_SOCKETS, folder=compiled, url=often_pinging, account=account) as examples:
        for process in examples.processes:
            process.send(signal.SIGSTOP)
        await examples.fill("20")
        await eventually(none_is_connected, within_seconds=WITHIN_SECONDS)
        for process in examples.processes:
            process.send(signal.SIGCONT)
        await examples.show("PARTIALLY_FILLED", "50")
        await examples.fill("40")
        await examples.end()
