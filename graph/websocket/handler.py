"""GraphQL over websocket, protocol level: authentication, the messages of the protocol, and the end of a socket.

It corrects Strawberry's handler where it departs from the protocol (graphql-ws, PROTOCOL.md): messages of the wrong
shape close with 4400 instead of a traceback, a bad token with 4401 (which clients do not retry), our own failure with
4500, extensions and document ids are passed on, and a mistake in one document does not end the other subscriptions.
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, cast

from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    CompleteMessage,
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)
from strawberry.utils.aio import aclosing

from domain.ports.telemetry import Metric
from graph.auth.bearer import Bearer
from graph.auth.tokens import InvalidTokenError, VerificationUnavailableError, read_bearer
from graph.context import Context, context_for
from graph.documents.cache import DocumentRefusedError
from graph.errors import internal_error, log_unexpected
from graph.limits.request_rates import TooManyRequestsError
from graph.schema.build import Schema
from graph.websocket.close_codes import TOKEN_END_REASONS, CloseCode, TokenEnd, unauthorized_reason
from graph.websocket.messages import InvalidMessageError, read_message
from graph.websocket.open_sockets import SocketLimitError
from graph.websocket.operation import RequestedOperation, too_many_operations, too_many_requests
from graph.websocket.socket import Socket, SocketView

EXPIRY_CHECK_SECONDS = 3_600.0
"""How long an expiry is slept for at most, so that a clock that is set meanwhile is noticed."""
ANSWERS_TIMEOUT_SECONDS = 2.0
"""How long queries and mutations of a socket may take to answer when the process stops."""


class SocketHandler(BaseGraphQLTransportWSHandler[Context | None, None]):
    """One websocket's conversation."""

    bearer: Bearer | None = None
    view: SocketView  # type: ignore[assignment]  # the endpoint has both types
    _expiry: asyncio.Task[None] | None = None
    _is_ending: bool = False

    async def handle(self) -> None:
        """Process messages until the socket ends."""
        self._must_make_room = asyncio.Event()
        self._init_timeout_reason = "Connection initialisation timeout"
        with self.view.sockets.holding(self):
            await super().handle()

    def make_room(self, reason: str) -> None:
        """Close, since it was not authenticated and new sockets need its place."""
        self._init_timeout_reason = reason
        self._must_make_room.set()

    async def handle_connection_init_timeout(self) -> None:
        """Wait for the time-out of connection_init, or until new sockets need the place; then close."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.connection_init_wait_timeout.total_seconds()):
                await self._must_make_room.wait()
        self.connection_timed_out = True
        await self.websocket.close(code=CloseCode.INIT_TIMEOUT, reason=self._init_timeout_reason)

    async def end_for_restart(self) -> None:
        """End the subscriptions, let other operations answer, and close with 1012: clients reconnect and resume."""
        self._is_ending = True
        await self.end_subscriptions()
        await self._finish_operations(timeout_seconds=ANSWERS_TIMEOUT_SECONDS)
        await self._close(CloseCode.SERVICE_RESTART, "The service restarts", cause="restart")

    def withdraw(self) -> bool:
        """Start no operation from now on, since the token is no longer valid; return False if that was the case
        before.
        """
        if self._is_ending:
            return False
        self._is_ending = True
        return True

    async def end_subscriptions(self) -> None:
        """Stop sending to subscribers."""
        for operation in list(self.operations.values()):
            # A document without the word contains no subscription; a false match is sent again.
            if "subscription" in operation.query:
                await self.cleanup_operation(operation.id)

    async def end_for_token(self, end: TokenEnd, *, answers_seconds: float) -> None:
        """Let running operations answer within that time, and close with 4403: clients reconnect with their next
        token.
        """
        await self._finish_operations(timeout_seconds=answers_seconds)
        await self._close(CloseCode.TOKEN_ENDED, TOKEN_END_REASONS[end], cause=end)

    async def handle_message(self, message: Message) -> None:
        """Act on one message of the client; one that breaks the protocol closes the socket."""
        try:
            checked = read_message(message)
        except InvalidMessageError as mistake:
            await self.handle_invalid_message(str(mistake))
            return
        try:
            await self._act_on(cast("Message", checked))
        except WebSocketDisconnected:
            raise
        except Exception as error:  # noqa: BLE001 - for any error, the client is informed that it was our failure
            log_unexpected(error, self.view.services.telemetry)
            await self.websocket.close(code=CloseCode.INTERNAL_ERROR, reason="Internal error")

    async def _act_on(self, message: Message) -> None:
        match message["type"]:
            case "connection_init":
                await self.handle_connection_init(message)
            case "ping":
                await self.handle_ping(message)
            case "subscribe":
                await self.handle_subscribe(message)
            case "complete":
                await self.handle_complete(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Authenticate the bearer of a valid token, until the token expires."""
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.websocket.close(code=CloseCode.TOO_MANY_INITS, reason="Too many initialisation requests")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        try:
            bearer = self._authenticate(message.get("payload") or {})
            self.view.sockets.assign(self, bearer.limit_key)
            self.bearer = bearer
        except InvalidTokenError as refusal:
            await self.websocket.close(code=CloseCode.UNAUTHORIZED, reason=unauthorized_reason(refusal))
            return
        except VerificationUnavailableError:
            await self.websocket.close(code=CloseCode.TRY_AGAIN_LATER, reason="Tokens cannot be verified at the moment")
            return
        except SocketLimitError as refusal:
            # Not a code that clients treat as final: some of the counted sockets may be dead already.
            await self.websocket.close(code=CloseCode.TRY_AGAIN_LATER, reason=str(refusal))
            return
        self.context = context_for(bearer, self.view.services, cast("Socket", self.websocket).ws.scope)
        self._expiry = asyncio.create_task(self._close_at_expiry(bearer))
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless the socket has the allowed number of them. One that is about to close starts
        none.
        """
        if self._is_ending:
            return
        operation_id = message["id"]
        if not self.connection_acknowledged:
            await self.websocket.close(code=CloseCode.UNAUTHORIZED, reason="Unauthorized")
        elif operation_id in self.operations:
            await self.websocket.close(code=CloseCode.ID_IN_USE, reason=f"Subscriber for {operation_id} already exists")
        elif len(self.operations) >= self._operations_max():
            await self._refuse(operation_id, [too_many_operations(self._operations_max())])
        else:
            await self._start(message)

    async def run_operation(self, operation: Operation[Context | None, None]) -> None:
        """Run an operation to its end. One that fails through our fault ends with an error, not as if it were done."""
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.context,
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions if isinstance(operation, RequestedOperation) else None,
            )
            async with aclosing(results):
                await self._send_result_stream(operation, results)
            await operation.send_operation_message(CompleteMessage(id=operation.id, type="complete"))
        except WebSocketDisconnected:
            return
        except Exception as error:  # noqa: BLE001 - for any error, the client is informed that the operation failed
            failure = internal_error(log_unexpected(error, self.view.services.telemetry))
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([failure])

    async def handle_task_exception(self, error: Exception) -> None:
        """Log an error with which no operation should end. A client that disconnects during a send is expected."""
        if isinstance(error, WebSocketDisconnected):
            return
        log_unexpected(error, self.view.services.telemetry)

    async def shutdown(self) -> None:
        """Free all resources of the socket."""
        if self._expiry is not None:
            self._expiry.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiry
        await super().shutdown()

    @staticmethod
    def _get_pre_execution_close_reason(_error: GraphQLError) -> str | None:
        """Never: a mistake in a document is answered by an `error` message like every other."""
        return None

    def _authenticate(self, payload: dict[str, Any]) -> Bearer:
        # GraphiQL sends its headers as typed, so the name may be in either case.
        authorization = payload.get("Authorization", payload.get("authorization"))
        return self.view.tokens.verify(read_bearer(authorization))

    async def _start(self, message: SubscribeMessage) -> None:
        """Start an operation. While a refusal is delayed, later messages wait."""
        schema, payload = cast("Schema", self.schema), cast("dict[str, Any]", message["payload"])
        limit_key, rates = cast("Context", self.context).bearer.limit_key, self.view.rates
        try:
            await rates.admit_request(limit_key)
            document = await schema.documents.resolve(payload, admit_new=partial(rates.admit_document, limit_key))
        except DocumentRefusedError as refusal:
            await self._refuse(message["id"], refusal.errors)
            return
        except TooManyRequestsError as refusal:
            await self._refuse(message["id"], [too_many_requests(refusal)])
            return
        if self._is_ending:
            return
        operation = RequestedOperation(self, message, document)
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)
        self.operations[operation.id] = operation

    async def _refuse(self, operation_id: str, errors: list[GraphQLError]) -> None:
        await self.send_message({"id": operation_id, "type": "error", "payload": [error.formatted for error in errors]})

    def _operations_max(self) -> int:
        return self.view.services.settings.subscriptions_per_socket

    async def _close_at_expiry(self, bearer: Bearer) -> None:
        """Wait until the token expires; then nothing more is sent, and the socket closes."""
        while (left := (bearer.accepted_until - self.view.services.clock()).total_seconds()) > 0:  # noqa: ASYNC110 - for the clock no event is set
            await asyncio.sleep(min(left, EXPIRY_CHECK_SECONDS))
        if self.withdraw():
            await self.end_for_token(TokenEnd.EXPIRED, answers_seconds=0)

    async def _finish_operations(self, *, timeout_seconds: float) -> None:
        answering = [operation.task for operation in self.operations.values() if operation.task]
        if answering:
            await asyncio.wait(answering, timeout=timeout_seconds)
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)

    async def _close(self, code: int, reason: str, *, cause: str) -> None:
        self.view.services.telemetry.count(Metric.SOCKETS_CLOSED, reason=cause)
        await self.websocket.close(code=code, reason=reason)
