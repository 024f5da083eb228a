"""One operation that a client has subscribed to over a socket, and the errors that the socket itself answers with."""

from typing import Any, cast

from graphql import GraphQLError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage
from strawberry.types import ExecutionResult

from graph.context import Context
from graph.documents.cache import Document, RefusedDocument
from graph.engine.events import RenderedResults
from graph.errors import ErrorCode
from graph.limits.request_rates import TooManyRequestsError
from graph.websocket.socket import Socket


class RequestedOperation(Operation[Context | None, None]):
    """An operation with what Strawberry's own leaves out of the message."""

    __slots__ = ("extensions",)

    def __init__(
        self,
        handler: BaseGraphQLTransportWSHandler[Context | None, None],
        message: SubscribeMessage,
        document: Document | RefusedDocument,
    ) -> None:
        payload = cast("dict[str, Any]", message["payload"])
        # Empty is none, as it is over HTTP.
        name = payload.get("operationName") or None
        super().__init__(handler, message["id"], document, payload.get("variables"), name)
        self.extensions: dict[str, Any] | None = payload.get("extensions")

    async def send_next(self, execution_result: ExecutionResult) -> None:
        """Send a result; those that were rendered already are put in as they are."""
        if not isinstance(execution_result, RenderedResults):
            await super().send_next(execution_result)
        elif not self.completed:
            await cast("Socket", self.handler.websocket).send_texts(execution_result.messages(self.id))


def too_many_operations(operations_max: int) -> GraphQLError:
    message = f"This socket has {operations_max} operations, as many as it may."
    return GraphQLError(message, extensions={"code": ErrorCode.TOO_MANY_OPERATIONS})


def too_many_requests(refusal: TooManyRequestsError) -> GraphQLError:
    return GraphQLError(str(refusal), extensions={"code": ErrorCode.TOO_MANY_REQUESTS, "limit": refusal.limit})
