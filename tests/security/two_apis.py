"""Two API processes over one database that can be disconnected, and an attacker's actions with a stolen token."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import jwt
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.processes import eventually
from tests.support.proxy import Proxy
from tests.support.system import ALL_SCOPES, APPLE, TOKEN_SECRET, System

HEADS = ("api", "api-2")
DEADLINE_SECONDS = 10.0
IN_FORCE_SECONDS = 2.0
"""Within this time a revocation is in force in every process."""
VIEWER = "{ viewer { accountId } }"
PLACE = """mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) { __typename ... on UserError { code } } }"""
REVOKE = """mutation Revoke($input: RevokeTokensInput!) {
  revokeTokens(input: $input) {
    __typename ... on RevokeTokensSuccess { inForceAt } ... on UserError { code path } } }"""

Json = dict[str, Any]


def mint(account: str = "alice", *, scopes: str = ALL_SCOPES, lasts_seconds: float = 3_600, **claims: Any) -> str:
    """Return a token of the account, with an id, issued now, unless the claims differ; None leaves a claim out."""
    now = time.time()
    everything = {
        "sub": account,
        "scope": scopes,
        "iat": int(now),
        "exp": int(now + lasts_seconds),
        "jti": secrets.token_hex(8),
    } | claims
    given = {name: value for name, value in everything.items() if value is not None}
    return jwt.encode(given, TOKEN_SECRET, algorithm="HS256")


def new_order() -> Json:
    """Return an order that no other test places."""
    return {
        "clientOrderId": secrets.token_hex(8),
        "isin": APPLE,
        "side": "BUY",
        "type": "MARKET",
        "quantity": "1",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoApis:
    """The processes `api` and `api-2`, and the database between them and the real one."""

    system: System
    database: Proxy
    database_url: str

    async def post(
        self, token: str, query: str = VIEWER, variables: Json | None = None, *, head: str = "api"
    ) -> tuple[int, Json]:
        """One request; its status and answer."""
        url = f"http://127.0.0.1:{self.system.ports[head]}/graphql"
        headers = {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables or {}}
        async with self.system.session.post(url, json=body, headers=headers) as response:
            answer: Json = await response.json()
        return response.status, answer

    async def status(self, token: str, *, head: str = "api") -> int:
        """Return the status of a request with the token."""
        return (await self.post(token, head=head))[0]

    async def becomes(
        self, status: int, token: str, *, head: str = "api", within_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Wait until requests with the token have the status."""

        async def reached() -> bool:
            return await self.status(token, head=head) == status

        await eventually(reached, within_seconds=within_seconds, what=f"{status} at {head}")

    async def revoke(self, **asked: Any) -> Json:
        """Revoke tokens as an operator; the mutation's result."""
        operator = mint("olga", scopes="operator")
        _, answer = await self.post(operator, REVOKE, {"input": {"reason": "a stolen laptop"} | asked})
        result: Json = answer["data"]["revokeTokens"]
        return result

    @asynccontextmanager
    async def socket(self, token: str, *, head: str = "api") -> AsyncIterator["Socket"]:
        """Return an acknowledged websocket."""
        url = f"ws://127.0.0.1:{self.system.ports[head]}/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
            socket = Socket(connection)
            await socket.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
            assert (await socket.receive())["type"] == "connection_ack"
            yield socket

    async def is_stored(self, order: Json) -> bool:
        """Return whether the order is stored, read from the database itself."""
        connection = await asyncpg.connect(self.database_url)
        try:
            query = "SELECT EXISTS (SELECT FROM orders WHERE client_order_id = $1)"
            return bool(await connection.fetchval(query, order["clientOrderId"]))
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class Socket:
    """Frames of graphql-transport-ws, one by one."""

    connection: ClientConnection

    async def send(self, message: Json) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> Json:
        async with asyncio.timeout(DEADLINE_SECONDS):
            message: Json = json.loads(await self.connection.recv())
        return message

    async def place(self, order: Json) -> None:
        """Send an order without waiting."""
        payload = {"query": PLACE, "variables": {"input": order}}
        await self.send({"id": order["clientOrderId"], "type": "subscribe", "payload": payload})

    async def placed(self, order: Json) -> str:
        """Place an order, and return the type of the result."""
        await self.place(order)
        message = await self.receive()
        assert message["type"] == "next", message
        complete = await self.receive()
        assert complete["type"] == "complete", complete
        name: str = message["payload"]["data"]["placeOrder"]["__typename"]
        return name

    async def closed(self, *, within_seconds: float = DEADLINE_SECONDS) -> int | None:
        """Return the code with which the server closes, ignoring earlier messages."""
        async with asyncio.timeout(within_seconds):
            await self.connection.wait_closed()
        return self.connection.close_code
