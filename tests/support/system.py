"""A complete Fillwire of real processes for one test: exchange, API, worker, ingest, over a separate database."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import jwt

from exchange.simulator.keys import VenueKeys
from tests.flow.socket import GraphQLSocket, open_socket
from tests.support.processes import RunningProcess, eventually, running
from tools.devstack.database_roles import role_url
from tools.devstack.ports import free_port

TOKEN_SECRET = secrets.token_hex(32)
BROADCAST_KEY = secrets.token_hex(32)
ALL_SCOPES = "orders:read orders:place orders:cancel"
TOKEN_SECONDS = 3600
APPLE = "US0378331005"

Json = dict[str, Any]

PLACE = """
mutation Place($input: PlaceOrderInput!, $waitMs: Int) {
  placeOrder(input: $input, waitMs: $waitMs) {
    __typename
    ... on PlaceOrderSuccess { replayed order { ...All } }
    ... on ClientOrderIdConflict { existingOrder { id } }
    ... on InvalidOrder { issues { path code message } }
    ... on Unavailable { retryAfterMs }
    ... on UserError { code message }
  }
}
"""
ORDER_FIELDS = """
fragment All on Order {
  id status version filledQuantity leavesQuantity averagePrice isFinal venueOrderId
  reason { code message source }
  placement { attempts maxAttempts lastAttemptAt nextAttemptAt lastError }
}
"""
READ = "query Read($id: ID!) { order(id: $id) { ...All } }" + ORDER_FIELDS
CANCEL = """
mutation Cancel($id: ID!) {
  cancelOrder(input: {orderId: $id}) {
    __typename
    ... on CancelOrderSuccess { order { ...All } }
    ... on UserError { code message }
  }
}
"""


@dataclass(slots=True)
class System:
    """The processes, and how a client and an operator reach them. Start and stop them one by one as a test needs."""

    environment: dict[str, str]
    session: aiohttp.ClientSession
    stack: AsyncExitStack
    ports: dict[str, int]
    probe_ports: dict[str, int]
    processes: dict[str, RunningProcess] = field(default_factory=dict)
    own_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the processes of one kind (api, worker, ingest) get instead of the settings of all."""
    _stacks: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, *heads: str) -> None:
        """Start processes together and wait until each is ready."""
        await asyncio.gather(*(self._start(head) for head in heads))

    async def stop(self, head: str) -> None:
        """Send SIGTERM to a process, and wait for its end."""
        await self._stacks.pop(head).aclose()
        del self.processes[head]

    async def end(self, head: str, *, within_seconds: float = 15.0) -> RunningProcess:
        """Stop a process (SIGTERM) and return it with its exit code and its last output. TimeoutError when it does
        not stop.
        """
        ended = self.processes[head]
        await ended.stop(within_seconds=within_seconds)
        await self.stop(head)
        return ended

    async def kill(self, head: str) -> None:
        """Kill a process as a crash would."""
        await self.processes[head].kill()
        await self.stop(head)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def probes_url(self, head: str) -> str:
        """Return the URL of a process's health and metrics."""
        return f"http://127.0.0.1:{self.probe_ports[head]}"

    @property
    def exchange_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['exchange']}"

    async def ask(
        self,
        query: str,
        variables: Json | None = None,
        *,
        account: str = "demo",
        head: str = "api",
        scopes: str = ALL_SCOPES,
    ) -> Json:
        """One GraphQL operation; its data. AssertionError when it has errors."""
        body = {"query": query, "variables": variables or {}}
        headers = {"Authorization": f"Bearer {token(account, scopes=scopes)}"}
        url = f"http://127.0.0.1:{self.ports[head]}/graphql"
        async with self.session.post(url, json=body, headers=headers) as response:
            answer: Json = await response.json()
        assert "errors" not in answer, answer
        data: Json = answer["data"]
        return data

    async def place(
        self,
        *,
        client_order_id: str | None = None,
        account: str = "demo",
        wait_ms: int = 0,
        head: str = "api",
        **changed: Any,
    ) -> Json:
        """Place an order of 90 Apple at the market, with a test's changes, and return the mutation's result."""
        order = {
            "clientOrderId": client_order_id or secrets.token_hex(8),
            "isin": APPLE,
            "side": "BUY",
            "type": "MARKET",
            "quantity": "90",
        } | changed
        data = await self.ask(PLACE + ORDER_FIELDS, {"input": order, "waitMs": wait_ms}, account=account, head=head)
        result: Json = data["placeOrder"]
        return result

    async def placed_id(self, **options: Any) -> str:
        """Place an order and return its id."""
        result = await self.place(**options)
        assert result["__typename"] == "PlaceOrderSuccess", result
        order_id: str = result["order"]["id"]
        return order_id

    async def order(self, order_id: str, *, account: str = "demo") -> Json:
        """Return the current order."""
        data = await self.ask(READ, {"id": order_id}, account=account)
        order: Json = data["order"]
        return order

    async def cancel(self, order_id: str, *, account: str = "demo") -> Json:
        """Request a cancellation and return the mutation's result."""
        data = await self.ask(CANCEL + ORDER_FIELDS, {"id": order_id}, account=account)
        result: Json = data["cancelOrder"]
        return result

    async def becomes(self, order_id: str, status: str, *, within_seconds: float = 15, account: str = "demo") -> Json:
        """Wait until the order has the status; the order then."""

        async def reached() -> Json | None:
            order = await self.order(order_id, account=account)
            return order if order["status"] == status else None

        return await eventually(reached, within_seconds=within_seconds, what=f"{order_id} is {status}")

    @asynccontextmanager
    async def socket(self, *, account: str = "demo", head: str = "api") -> AsyncIterator[GraphQLSocket]:
        """Return a graphql-transport-ws connection that has been acknowledged."""
        url = f"ws://127.0.0.1:{self.ports[head]}/graphql"
        async with open_socket(url, token=token(account)) as socket:
            yield socket

    async def sync_instruments(self) -> None:
        """Bring in what the exchange trades, as an operator does."""
        arguments = ["-m", "runtime", "instruments", "sync"]
        async with running(arguments, environment=self.environment_of("instruments")) as sync:
            assert await sync.ends(within_seconds=20) == 0, sync.output

    async def calm_exchange(self) -> None:
        """Set the exchange to accept orders immediately and to fill only on request, unlike its defaults."""
        await self.control("PUT", "faults", {"latency_ms": 0, "refuse_rate": 0, "down": False})
        await self.control("PUT", "matching", {"mode": "manual"})

    async def control(self, method: str, path: str, body: Json | Sequence[Json] | None = None) -> Json:
        """Set one of the simulated exchange's controls."""
        url = f"{self.exchange_url}/simulator/{path}"
        async with self.session.request(method, url, json=body, headers=VenueKeys().headers) as response:
            assert response.status < 300, await response.text()
            answer: Json = await response.json()
        return answer

    async def journal(self, kind: str) -> Sequence[Json]:
        """Return the exchange's own record of orders or events."""
        entries: Sequence[Json] = (await self.control("GET", "journal?after=0"))["entries"]
        return [entry for entry in entries if entry["kind"] == kind]

    async def venue_client_order_id(self, order_id: str) -> str:
        """Return the order's name at the exchange."""
        connection = await asyncpg.connect(self.environment["DATABASE_URL"])
        try:
            name: str = await connection.fetchval(
                "SELECT venue_client_order_id FROM orders WHERE id = $1", UUID(hex=order_id.removeprefix("ord_"))
            )
        finally:
            await connection.close()
        return name

    async def metric(self, name: str, *, head: str = "api") -> float:
        """Return the sum of a series over its labels."""
        async with self.session.get(f"{self.probes_url(head)}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"fillwire_{name}"))

    def environment_of(self, head: str) -> dict[str, str]:
        """Return the environment of the process or command of that name: it logs in to PostgreSQL with its own role."""
        own = self.own_settings.get(head.partition("-")[0], {})
        return {**self.environment, "DATABASE_URL": role_url(self.environment["DATABASE_URL"], head), **own}

    async def _start(self, head: str) -> None:
        kind = head.partition("-")[0]
        serving = {"exchange": "EXCHANGE_PORT", "api": "PORT"}.get(kind)
        own = {serving: str(self.ports[head])} if serving else {}
        stack = AsyncExitStack()
        self.processes[head] = await stack.enter_async_context(
            running(
                ["-m", "runtime", kind],
                environment={"METRICS_PORT": str(self.probe_ports[head]), **self.environment_of(head), **own},
                ready_url=f"{self.probes_url(head)}/healthz",
            )
        )
        self._stacks[head] = stack
        self.stack.push_async_callback(stack.aclose)


@asynccontextmanager
async def open_system(
    *, database_url: str, redis_url: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[System]:
    """Create a system over a superuser's database with instruments. Only the exchange runs, which accepts orders
    immediately and fills on request.
    """
    ports = {head: free_port() for head in ("exchange", "api", "api-2")}
    probing = ("api", "api-2", "worker", "worker-2", "ingest", "ingest-2")
    # The exchange serves its health on its own port.
    probe_ports = {"exchange": ports["exchange"], **{head: free_port() for head in probing}}
    exchange = f"127.0.0.1:{ports['exchange']}"
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "EXCHANGE_URL": f"http://{exchange}",
        "EXCHANGE_STREAM_URL": f"ws://{exchange}/stream",
        "TOKEN_SECRET": TOKEN_SECRET,
        "BROADCAST_KEY": BROADCAST_KEY,
        "LOG_FORMAT": "plain",
        # Metrics must include the latest counts.
        "METRICS_RENDERED_EVERY_SECONDS": "0.001",
        **(settings or {}),
    }
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        system = System(environment=environment, session=session, stack=stack, ports=ports, probe_ports=probe_ports)
        await system.start("exchange")
        await system.calm_exchange()
        yield system


def token(account: str, *, scopes: str = ALL_SCOPES, seconds: int = TOKEN_SECONDS) -> str:
    """Return a token for the account."""
    claims = {"sub": account, "scope": scopes, "exp": int(time.time()) + seconds}
    return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")
