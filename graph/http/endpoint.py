"""GraphQL over HTTP: one address, POST with JSON; queries by GET where the settings allow them.

In development GET shows GraphiQL to browsers.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from domain.model.errors import UNAVAILABLE_RETRY_AFTER_MS
from domain.ports.telemetry import REQUEST_ID, Metric
from graph.auth.bearer import Bearer
from graph.auth.tokens import (
    EndedTokenError,
    InvalidTokenError,
    TokenVerifier,
    VerificationUnavailableError,
    read_bearer,
)
from graph.context import Services, context_for
from graph.documents.cache import DocumentRefusedError
from graph.errors import ErrorCode, internal_error, log_unexpected
from graph.http.compression import compressed
from graph.http.graphiql import GraphiQL
from graph.http.request import (
    JSON,
    GraphQLRequest,
    HttpRequest,
    RequestRefusedError,
    bad_request,
    read_query_string,
    read_request,
)
from graph.http.responses import negotiate, refusal_response, result_response
from graph.http.unread_body import answer_and_discard
from graph.limits.request_rates import RequestRates, TooManyRequestsError
from graph.schema.build import Schema

OPERATIONS = (OperationType.QUERY, OperationType.MUTATION)
OPERATIONS_BY_GET = (OperationType.QUERY,)
CHALLENGE = 'Bearer realm="fillwire"'
METHODS = {True: ("GET", "POST"), False: ("POST",)}
"""The methods by which operations may be sent, by whether queries may be sent by GET."""


class HttpEndpoint:
    """An ASGI application for the HTTP side of /graphql."""

    def __init__(
        self,
        *,
        schema: Schema,
        services: Services,
        tokens: TokenVerifier,
        rates: RequestRates,
        graphiql: GraphiQL | None,
    ) -> None:
        self._schema = schema
        self._services = services
        self._tokens = tokens
        self._rates = rates
        self._graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, under its id."""
        request = HttpRequest(scope, receive)
        request_id = request.id()
        REQUEST_ID.set(request_id)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            self._services.telemetry.count(Metric.REQUESTS_ABANDONED)
            return
        response.raw_headers.append((b"x-request-id", request_id.encode("ascii")))
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await answer_and_discard(response, scope, receive, send)
        else:
            await compressed(response, request.headers.get(b"accept-encoding"))(scope, receive, send)

    async def _respond(self, request: HttpRequest) -> Response:
        accept = request.headers.get(b"accept") or None
        if request.method in {"GET", "HEAD"} and self._graphiql is not None and "text/html" in (accept or ""):
            return self._graphiql.page(Request(request.scope))
        media_type = JSON
        try:
            self._check_method(request)
            media_type = negotiate(accept)
            return result_response(await self._answer(request), media_type)
        except RequestRefusedError as refusal:
            if refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                await self._rates.delay_refusal()
            return refusal_response(refusal, media_type)
        except ClientDisconnect:
            # The client has disconnected, which is not an error.
            raise
        except TooManyRequestsError as refusal:
            return refusal_response(_too_many_requests(refusal), media_type)
        except Exception as error:  # noqa: BLE001 - the last place where the answer can still be JSON
            return refusal_response(self._unexpected(error), media_type)

    def _check_method(self, request: HttpRequest) -> None:
        allowed = METHODS[self._services.settings.get_queries_allowed]
        if request.method not in allowed:
            raise _not_allowed(f"Send operations by {' or '.join(allowed)}.", allowed)

    async def _answer(self, request: HttpRequest) -> ExecutionResult:
        bearer = await self._authenticate(request)
        await self._rates.admit_request(bearer.limit_key)
        if request.method == "GET":
            asked = read_query_string(Request(request.scope))
            return await self._execute(asked, bearer, request.scope, OPERATIONS_BY_GET)
        asked = await read_request(request, body_max_bytes=self._services.settings.body_max_bytes)
        # A body may take seconds to arrive, and the token may have been revoked meanwhile.
        return await self._execute(asked, await self._authenticate(request), request.scope, OPERATIONS)

    async def _authenticate(self, request: HttpRequest) -> Bearer:
        try:
            return self._tokens.verify(read_bearer(request.headers.get(b"authorization")))
        except InvalidTokenError as refusal:
            await self._rates.slow_unauthenticated()
            raise _unauthenticated(refusal) from None
        except VerificationUnavailableError:
            await self._rates.slow_unauthenticated()
            raise RequestRefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                code=ErrorCode.UNAVAILABLE,
                message="Tokens cannot be verified at the moment. Try again.",
                headers={"retry-after": "1"},
                details={"retryAfterMs": UNAVAILABLE_RETRY_AFTER_MS},
            ) from None

    async def _execute(
        self, asked: GraphQLRequest, bearer: Bearer, scope: Scope, allowed: Sequence[OperationType]
    ) -> ExecutionResult:
        admit_new = partial(self._rates.admit_document, bearer.limit_key)
        try:
            document = await self._schema.documents.resolve(asked.payload, admit_new=admit_new)
            return await self._schema.execute(
                document,
                variable_values=asked.variables,
                context_value=context_for(bearer, self._services, scope),
                operation_name=asked.operation_name,
                allowed_operation_types=allowed,
            )
        except DocumentRefusedError as refusal:
            return ExecutionResult(data=None, errors=list(refusal.errors))
        except InvalidOperationTypeError as refusal:
            if refusal.operation_type is OperationType.SUBSCRIPTION:
                raise bad_request("Subscriptions are served over the websocket at this address.") from None
            raise _not_allowed("Send mutations by POST.", ("POST",)) from None

    def _unexpected(self, error: Exception) -> RequestRefusedError:
        shown = internal_error(log_unexpected(error, self._services.telemetry))
        return RequestRefusedError(
            HTTPStatus.INTERNAL_SERVER_ERROR, code=ErrorCode.INTERNAL, message=shown.message, details=shown.extensions
        )


def _unauthenticated(refusal: InvalidTokenError) -> RequestRefusedError:
    """Return the refusal as RFC 6750, section 3, says. What is wrong with a token that was never valid is not said."""
    challenge, message = CHALLENGE, "Send a valid token: Authorization: Bearer <token>."
    if isinstance(refusal, EndedTokenError):
        challenge = f'{CHALLENGE}, error="invalid_token", error_description="The token has expired or was revoked"'
        message = "The token has expired or was revoked. Send a new one: Authorization: Bearer <token>."
    return RequestRefusedError(
        HTTPStatus.UNAUTHORIZED,
        code=ErrorCode.UNAUTHENTICATED,
        message=message,
        headers={"www-authenticate": challenge},
    )


def _too_many_requests(refusal: TooManyRequestsError) -> RequestRefusedError:
    return RequestRefusedError(
        HTTPStatus.TOO_MANY_REQUESTS,
        code=ErrorCode.TOO_MANY_REQUESTS,
        message=str(refusal),
        headers={"retry-after": "1"},
        details={"limit": refusal.limit},
    )


def _not_allowed(message: str, allowed: Sequence[str]) -> RequestRefusedError:
    return RequestRefusedError(
        HTTPStatus.METHOD_NOT_ALLOWED,
        code=ErrorCode.METHOD_NOT_ALLOWED,
        message=message,
        headers={"allow": ", ".join(allowed)},
    )
