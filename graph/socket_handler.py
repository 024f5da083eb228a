"""GraphQL over websocket, protocol level: who may talk, what may be said, and when a socket's time is over.

It mends where Strawberry's handler departs from the protocol: messages of the wrong shape close with 4400 instead of
a traceback, a bad token with 4401 (which clients do not retry), and a mistake in one document does not take the other
subscriptions of the socket down.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)

from graph.context import Context, context_for
from graph.errors import log_unexpected
from graph.socket_messages import BadMessage, read_message
from graph.tokens import InvalidToken, read_bearer
from graph.viewer import Viewer

if TYPE_CHECKING:
    from graph.websocket import WebSocketEndpoint

UNAUTHORIZED = 4401
TOO_MANY_INITS = 4429
SERVICE_RESTART = 1012
ANSWERS_TIMEOUT_SECONDS = 2.0
"""How long queries and mutations of a socket may take to answer when the process stops."""


class SocketHandler(BaseGraphQLTransportWSHandler[Context | None, None]):
    """One websocket's conversation."""

    view: "WebSocketEndpoint"
    _expiry: asyncio.Task[None] | None = None
    _is_ending: bool = False

    async def handle(self) -> None:
        """Talk until the socket ends."""
        with self.view.sockets.holding(self):
            await super().handle()

    async def end_for_restart(self) -> None:
        """End the subscriptions, let the rest answer, and close with 1012: clients come back and resume."""
        self._is_ending = True
        for operation in list(self.operations.values()):
            # A document without the word has no subscription in it; one that is wrongly taken for one is sent again.
            if "subscription" in operation.query:
                await self.cleanup_operation(operation.id)
        answering = [operation.task for operation in self.operations.values() if operation.task]
        if answering:
            await asyncio.wait(answering, timeout=ANSWERS_TIMEOUT_SECONDS)
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        await self.websocket.close(code=SERVICE_RESTART, reason="The service restarts")

    async def handle_message(self, message: Message) -> None:
        """Act on one message of the client; one that breaks the protocol closes the socket."""
        try:
            checked = read_message(message)
        except BadMessage as mistake:
            await self.handle_invalid_message(str(mistake))
            return
        await super().handle_message(cast("Message", checked))

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Let the bearer of a valid token in, until the token expires."""
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.websocket.close(code=TOO_MANY_INITS, reason="Too many initialisation requests")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        try:
            viewer = self._authenticate(message.get("payload") or {})
        except InvalidToken:
            await self.websocket.close(code=UNAUTHORIZED, reason="Unauthorized")
            return
        self.context = context_for(viewer, self.view.services)
        self._expiry = asyncio.create_task(self._close_at_expiry(viewer))
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless the socket has as many as it may. One that is about to close starts nothing."""
        if self._is_ending:
            return
        is_new = message["id"] not in self.operations
        if self.connection_acknowledged and is_new and len(self.operations) >= self._operations_max():
            error = GraphQLError(
                "This socket has as many operations as it may.", extensions={"code": "TOO_MANY_OPERATIONS"}
            )
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        await super().handle_subscribe(message)

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what no operation should end with. That the peer goes away while it is told something, many do."""
        if isinstance(error, WebSocketDisconnected):
            return
        log_unexpected(error, self.view.services.telemetry)

    async def shutdown(self) -> None:
        """End everything that the socket holds."""
        if self._expiry is not None:
            self._expiry.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiry
        await super().shutdown()

    @staticmethod
    def _get_pre_execution_close_reason(_error: GraphQLError) -> str | None:
        """Never: a mistake in a document is answered by an `error` message like every other."""
        return None

    def _authenticate(self, payload: dict[str, Any]) -> Viewer:
        # GraphiQL sends its headers as they were typed, so the name comes in either case.
        authorization = payload.get("Authorization", payload.get("authorization"))
        return self.view.tokens.verify(read_bearer(authorization))

    def _operations_max(self) -> int:
        return self.view.services.settings.subscriptions_per_socket

    async def _close_at_expiry(self, viewer: Viewer) -> None:
        """Wait until the token expires; then nothing more is sent, and the socket closes."""
        left = viewer.token_expires_at - self.view.services.clock()
        await asyncio.sleep(max(left.total_seconds(), 0))
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        await self.websocket.close(code=UNAUTHORIZED, reason="The token has expired")
