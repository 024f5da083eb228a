"""GraphQL over HTTP on the way out: the negotiated media type, the status, and JSON bodies for every error."""

import re
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from graphql import GraphQLError
from starlette.responses import Response
from strawberry.types import ExecutionResult

from graph.errors import ErrorCode
from graph.http.request import JSON, RequestRefusedError

GRAPHQL_JSON = "application/graphql-response+json"

_BEFORE_IT_RUNS = frozenset(
    {
        ErrorCode.GRAPHQL_PARSE_FAILED,
        ErrorCode.GRAPHQL_VALIDATION_FAILED,
        ErrorCode.OPERATION_RESOLUTION_FAILURE,
        ErrorCode.DOCUMENT_TOO_LARGE,
        ErrorCode.DOCUMENT_TOO_COSTLY,
        ErrorCode.DOCUMENT_NOT_TRUSTED,
        ErrorCode.PERSISTED_QUERY_NOT_FOUND,
        ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED,
        ErrorCode.BAD_USER_INPUT,
    }
)
"""What a document, or the variables for it, are refused with. Resolvers too refuse arguments with BAD_USER_INPUT, but
at the path of their field."""

_QUALITY = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII)


def encode_json(content: object) -> bytes:
    """Encode the schema's values: texts, integers, booleans, no others."""
    return orjson.dumps(content)


def negotiate(accept: str | None) -> str:
    """Return the media type for an Accept header: the newer one only for clients that prefer it or accept only it.

    Raises RequestRefusedError (406) when the header refuses both; without a header it is application/json.
    """
    if accept is None or accept == "*/*":
        return JSON
    ranges = [read_range(part) for part in accept.split(",") if part.strip()]
    newer, older = _quality_of(GRAPHQL_JSON, ranges), _quality_of(JSON, ranges)
    if newer <= 0 and older <= 0:
        raise RequestRefusedError(
            HTTPStatus.NOT_ACCEPTABLE,
            code=ErrorCode.NOT_ACCEPTABLE,
            message=f"Answers are {GRAPHQL_JSON} or {JSON}: name one of them in Accept.",
        )
    # At equal quality the newer one is chosen where it is named: clients that list both list it first.
    is_named = any(media_type == GRAPHQL_JSON for media_type, _ in ranges)
    return GRAPHQL_JSON if newer > older or (is_named and newer == older) else JSON


def result_response(result: ExecutionResult, media_type: str) -> Response:
    """Return the answer to a request that was executed, or refused by GraphQL before.

    The answer to one that never ran has no `data` (GraphQL, section 7.1). In the newer media type it is a 400, in the
    older one a 200, as its clients expect (GraphQL over HTTP, section 6.4).
    """
    if not result.errors:
        return _json({"data": result.data}, media_type, HTTPStatus.OK)
    errors = [error.formatted for error in result.errors]
    if result.data is None and all(_is_request_error(error) for error in result.errors):
        status = HTTPStatus.BAD_REQUEST if media_type == GRAPHQL_JSON else HTTPStatus.OK
        return _json({"errors": errors}, media_type, status)
    return _json({"data": result.data, "errors": errors}, media_type, HTTPStatus.OK)


def _is_request_error(error: GraphQLError) -> bool:
    """Whether the error was met before anything ran."""
    return error.path is None and (error.extensions or {}).get("code") in _BEFORE_IT_RUNS


def refusal_response(refusal: RequestRefusedError, media_type: str) -> Response:
    """Return the answer to a request that is not a GraphQL request."""
    body = {"errors": [{"message": str(refusal), "extensions": {"code": refusal.code, **refusal.details}}]}
    return _json(body, media_type, refusal.status, refusal.headers)


def _json(
    body: Mapping[str, object], media_type: str, status: HTTPStatus, headers: Mapping[str, str] | None = None
) -> Response:
    # Answers belong to one account: no cache on the way may keep them.
    ours = {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-type": f"{media_type}; charset=utf-8",
    }
    return Response(encode_json(body), status, {**ours, **(headers or {})})


def read_range(part: str) -> tuple[str, float]:
    """One media range of Accept, or coding of Accept-Encoding, and its quality (RFC 9110, section 12.4.2); a malformed
    quality is worth 0."""
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    given = [parameter for parameter in parameters if parameter.startswith("q=")]
    if not given:
        return media_type, 1.0
    matched = _QUALITY.fullmatch(given[0])
    return media_type, float(matched[1]) if matched else 0.0


def _quality_of(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that covers the type."""
    for wanted in (media_type, "application/*", "*/*"):
        qualities = [quality for named, quality in ranges if named == wanted]
        if qualities:
            return max(qualities)
    return 0.0
