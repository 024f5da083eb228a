"""GraphQL over HTTP: one address, POST with JSON; GET only shows GraphiQL, to browsers, in development."""

from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graph.context import Services, context_for
from graph.errors import log_unexpected
from graph.graphiql import GraphiQL
from graph.requests import GraphQLRequest, UnusableRequest, read_request
from graph.responses import negotiate, refusal_response, result_response
from graph.schema import Schema
from graph.tokens import InvalidToken, TokenVerifier, read_bearer
from graph.viewer import Viewer

OPERATIONS = (OperationType.QUERY, OperationType.MUTATION)


class HttpEndpoint:
    """An ASGI application for the HTTP side of /graphql."""

    def __init__(self, *, schema: Schema, services: Services, tokens: TokenVerifier, graphiql: GraphiQL | None) -> None:
        self._schema = schema
        self._services = services
        self._tokens = tokens
        self._graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        accept = request.headers.get("accept")
        if request.method in {"GET", "HEAD"} and self._graphiql is not None and "text/html" in (accept or ""):
            return self._graphiql.page(request)
        media_type = negotiate(accept)
        try:
            result = await self._answer(request)
        except UnusableRequest as refusal:
            return refusal_response(refusal, media_type)
        except Exception as error:  # noqa: BLE001 - the last place where a client can still be told in JSON
            return refusal_response(self._unexpected(error), media_type)
        return result_response(result, media_type)

    async def _answer(self, request: Request) -> ExecutionResult:
        if request.method != "POST":
            raise UnusableRequest(
                HTTPStatus.METHOD_NOT_ALLOWED,
                code="METHOD_NOT_ALLOWED",
                message="Send operations by POST.",
                headers={"allow": "POST"},
            )
        viewer = self._authenticate(request)
        asked = await read_request(request, body_max_bytes=self._services.settings.body_max_bytes)
        return await self._execute(asked, viewer)

    def _authenticate(self, request: Request) -> Viewer:
        try:
            return self._tokens.verify(read_bearer(request.headers.get("authorization")))
        except InvalidToken:
            raise UnusableRequest(
                HTTPStatus.UNAUTHORIZED,
                code="UNAUTHENTICATED",
                message="Send a valid token: Authorization: Bearer <token>.",
                headers={"www-authenticate": 'Bearer realm="fillwire"'},
            ) from None

    async def _execute(self, asked: GraphQLRequest, viewer: Viewer) -> ExecutionResult:
        try:
            return await self._schema.execute(
                asked.document,
                variable_values=asked.variables,
                context_value=context_for(viewer, self._services),
                operation_name=asked.operation_name,
                allowed_operation_types=OPERATIONS,
            )
        except InvalidOperationTypeError:
            message = "Subscriptions are served over the websocket at this address."
            raise UnusableRequest(HTTPStatus.BAD_REQUEST, code="BAD_REQUEST", message=message) from None

    def _unexpected(self, error: Exception) -> UnusableRequest:
        error_id = log_unexpected(error, self._services.telemetry)
        message = f"Something went wrong here. It was logged under the id {error_id}."
        return UnusableRequest(HTTPStatus.INTERNAL_SERVER_ERROR, code="INTERNAL", message=message)
