"""The issuer removes a key: tokens of that key are refused, over HTTP and on open websockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

import pytest
from websockets.exceptions import ConnectionClosed

from tests.security.two_apis import TwoApis, new_order
from tests.support.system import System
from tests.support.token_issuer import AUDIENCE, TokenIssuer, new_key, serving
from tools.devstack.ports import free_port

SOCKETS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """An API process, and the issuer whose keys it follows."""

    api: TwoApis
    issuer: TokenIssuer

    def token(self, key_id: str) -> str:
        """Return a token signed with the key."""
        return self.issuer.token(key_id, iat=int(time.time()))


@pytest.fixture(scope="module")
async def shared_rotation(shared_apis: TwoApis) -> AsyncIterator[Rotation]:
    """One more API process over the same database, for all of these tests."""
    issuer, beside = TokenIssuer(), shared_apis.system
    settings = {
        "TOKEN_SECRET": "",
        "TOKEN_JWKS_URL": issuer.keys_url,
        "TOKEN_JWKS_REFRESH_SECONDS": "0.1",
        "TOKEN_ISSUER": issuer.address,
        "TOKEN_AUDIENCE": AUDIENCE,
    }
    async with serving(issuer), AsyncExitStack() as stack:
        system = System(
            environment=beside.environment | settings,
            session=beside.session,
            stack=stack,
            ports={"api": free_port()},
            probe_ports={"api": free_port()},
        )
        await system.start("api")
        yield Rotation(api=replace(shared_apis, system=system), issuer=issuer)


@pytest.fixture
async def rotation(shared_rotation: Rotation) -> Rotation:
    """Return the process, when it knows two new keys, `old` and `new`."""
    shared_rotation.issuer.keys = {"old": new_key(), "new": new_key()}
    for key_id in ("old", "new"):
        await shared_rotation.api.becomes(200, shared_rotation.token(key_id))
    return shared_rotation


async def test_sockets_of_a_key_that_is_gone_place_nothing_more_and_are_closed_within_a_second(
    rotation: Rotation,
) -> None:
    api, old, late = rotation.api, rotation.token("old"), [new_order() for _ in range(SOCKETS)]
    opened, is_rotated = [asyncio.Event() for _ in range(SOCKETS)], asyncio.Event()

    async def hold(number: int) -> tuple[int | None, float]:
        """Place with the old token, place again after the rotation, and wait for the end: return code and seconds."""
        async with api.socket(old) as socket:
            assert await socket.placed(new_order()) == "PlaceOrderSuccess"
            opened[number].set()
            await is_rotated.wait()
            known_at = time.monotonic()
            with suppress(ConnectionClosed):
                await socket.place(late[number])
            return await socket.closed(), time.monotonic() - known_at

    async with asyncio.TaskGroup() as tasks, api.socket(rotation.token("new")) as other:
        holding = [tasks.create_task(hold(number)) for number in range(SOCKETS)]
        await asyncio.gather(*(event.wait() for event in opened))
        del rotation.issuer.keys["old"]
        await api.becomes(401, old)
        is_rotated.set()
        ends = await asyncio.gather(*holding)

        assert await other.placed(new_order()) == "PlaceOrderSuccess"
    assert {code for code, _ in ends} == {4403}
    assert [await api.is_stored(order) for order in late] == [False] * SOCKETS
    seconds = sorted(after for _, after in ends)
    # Not all at the same time: their clients reconnect.
    assert seconds[-1] - seconds[0] > 0.1
    assert seconds[-1] < 1.5
    assert await api.system.metric("sockets_closed_total") >= SOCKETS


async def test_a_key_that_is_added_closes_no_socket(rotation: Rotation) -> None:
    async with rotation.api.socket(rotation.token("old")) as socket:
        rotation.issuer.keys["newest"] = new_key()
        await rotation.api.becomes(200, rotation.token("newest"))

        assert await socket.placed(new_order()) == "PlaceOrderSuccess"


async def test_another_key_under_the_same_id_is_another_key(rotation: Rotation) -> None:
    stolen = rotation.token("old")
    async with rotation.api.socket(stolen) as socket:
        rotation.issuer.keys["old"] = new_key()

        assert await socket.closed() == 4403
    assert await rotation.api.status(stolen) == 401
    assert await rotation.api.status(rotation.token("old")) == 200
