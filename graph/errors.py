"""Errors outside of the result unions as clients see them: a message and a stable code, never a traceback.

An unexpected error is masked: the client gets an id, and the log has the traceback under that id.
"""

import secrets
from enum import StrEnum

from graphql import GraphQLError

from domain.model.errors import InvalidAccountError, OrderNotFoundError, UnavailableError
from domain.ports.telemetry import REQUEST_ID, Metric, Telemetry

ERROR_ID_BYTES = 8
PYTHON_NULL = "not to be None"
SUGGESTION = "Did you mean"
"""How graphql-core begins a suggestion. Its `hide_suggestions` and Strawberry's option leave some of them: of values of
enums and of input fields in variables, and of a selection for a field without one."""


class ErrorCode(StrEnum):
    """The codes in `extensions.code`. Each keeps its meaning permanently; docs/api.md has the actions for them."""

    # The HTTP request, or the `subscribe` message
    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"

    # The document
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"
    DOCUMENT_TOO_COSTLY = "DOCUMENT_TOO_COSTLY"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"

    # The requested objects
    BAD_USER_INPUT = "BAD_USER_INPUT"
    BAD_CURSOR = "BAD_CURSOR"
    PAGE_TOO_LARGE = "PAGE_TOO_LARGE"
    FORBIDDEN = "FORBIDDEN"
    ACCOUNT_REQUIRED = "ACCOUNT_REQUIRED"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"

    # Us
    UNAVAILABLE = "UNAVAILABLE"
    TIMED_OUT = "TIMED_OUT"
    INTERNAL = "INTERNAL"


class ClientError(Exception):
    """The client can correct this: it becomes a top-level error with this code and message."""

    def __init__(self, *, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class OperationTimeoutError(Exception):
    """The operation took longer than the settings allow."""


def bad_input(message: str) -> ClientError:
    """Return the error for an unusable argument."""
    return ClientError(code=ErrorCode.BAD_USER_INPUT, message=message)


def with_code(error: GraphQLError, code: str) -> GraphQLError:
    """Return the error with a code, unless it has one already."""
    if error.extensions and "code" in error.extensions:
        return error
    return _replaced(error, error.message, {**(error.extensions or {}), "code": code})


def is_of_request(error: GraphQLError) -> bool:
    """Return whether graphql-core complains about the request, before it runs: mostly about its variables."""
    return error.path is None and "code" not in (error.extensions or {}) and _cause(error) is None


def public_error(error: GraphQLError, telemetry: Telemetry, *, shows_suggestions: bool) -> GraphQLError:
    """Return the error in public form; log an unexpected one, once, under an error id.

    Every error outside of the result unions passes here, but those of variables, which are ours
    (graph.documents.variable_errors). So without `shows_suggestions` no name of the schema is
    suggested, whichever rule, type or library made the message.
    """
    cause = _cause(error)
    match cause:
        case None:
            # GraphQL's own complaint, made without any of our code: an argument that does not fit.
            shown = in_words_of_json(error if shows_suggestions else _without_suggestion(error))
            return with_code(shown, ErrorCode.BAD_USER_INPUT)
        case ClientError():
            return _replaced(error, str(cause), {"code": cause.code})
        case InvalidAccountError():
            return _replaced(error, str(cause), {"code": ErrorCode.BAD_USER_INPUT})
        case OrderNotFoundError():
            return _replaced(error, str(cause), {"code": ErrorCode.ORDER_NOT_FOUND})
        case UnavailableError():
            message = "This cannot be answered at the moment. Try again."
            return _replaced(error, message, {"code": ErrorCode.UNAVAILABLE, "retryAfterMs": cause.retry_after_ms})
        case OperationTimeoutError():
            message = "The operation took too long. Try again, with the same clientOrderId if it places an order."
            return _replaced(error, message, {"code": ErrorCode.TIMED_OUT})
    return _masked(error, cause, telemetry)


def log_unexpected(cause: BaseException, telemetry: Telemetry, **fields: object) -> str:
    """Log an unexpected error, with its traceback; return its id."""
    error_id = secrets.token_hex(ERROR_ID_BYTES)
    telemetry.count(Metric.UNEXPECTED_ERRORS)
    telemetry.error("unexpected_error", error_id=error_id, exc_info=cause, **fields)
    return error_id


def internal_error(error_id: str) -> GraphQLError:
    """Return what a client may know of an error logged under that id; over HTTP with the request's id."""
    message = f"Something went wrong here. It was logged under the id {error_id}."
    extensions: dict[str, object] = {"code": ErrorCode.INTERNAL, "errorId": error_id}
    if (request_id := REQUEST_ID.get()) is not None:
        extensions["requestId"] = request_id
    return GraphQLError(message, extensions=extensions)


def _masked(error: GraphQLError, cause: BaseException, telemetry: Telemetry) -> GraphQLError:
    path = ".".join(map(str, error.path)) if error.path else None
    shown = internal_error(log_unexpected(cause, telemetry, path=path))
    return _replaced(error, shown.message, {**(shown.extensions or {})})


def in_words_of_json(error: GraphQLError) -> GraphQLError:
    """Return the error without Python's word for null, which graphql-core uses for a missing value."""
    if PYTHON_NULL not in error.message:
        return error
    return _replaced(error, error.message.replace(PYTHON_NULL, "not to be null"), {**(error.extensions or {})})


def _without_suggestion(error: GraphQLError) -> GraphQLError:
    """Return the error without graphql-core's last sentence. If a client sent these words, a part of its own text
    is removed.
    """
    message, has_suggestion, _ = error.message.partition(SUGGESTION)
    return _replaced(error, message.rstrip(), {**(error.extensions or {})}) if has_suggestion else error


def _cause(error: GraphQLError) -> BaseException | None:
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _replaced(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    """Return a new error at the same place. It does not reference the original: nothing of it may reach the client."""
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
