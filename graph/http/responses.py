"""GraphQL over HTTP on the way out: the negotiated media type, the status, and JSON bodies for every error."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response
from strawberry.types import ExecutionResult

from graph.errors import ErrorCode
from graph.http.request import JSON, RequestRefusedError

GRAPHQL_JSON = "application/graphql-response+json"

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
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
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

    Nothing was executed when there is no data and no error with a path. In the newer media type that is a 400 without
    `data`; in the older one it is a 200, as its clients expect.
    """
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    never_ran = result.data is None and not any(error.path for error in result.errors or ())
    if media_type == GRAPHQL_JSON and never_ran:
        del body["data"]
        return _json(body, media_type, HTTPStatus.BAD_REQUEST)
    return _json(body, media_type, HTTPStatus.OK)


def refusal_response(refusal: RequestRefusedError, media_type: str) -> Response:
    """Return the answer to a request that is not a GraphQL request."""
    body = {"errors": [{"message": str(refusal), "extensions": {"code": refusal.code, **refusal.details}}]}
    return _json(body, media_type, refusal.status, refusal.headers)


def _json(
    body: Mapping[str, object], media_type: str, status: HTTPStatus, headers: Mapping[str, str] | None = None
) -> Response:
    return JsonResponse(encode_json(body), media_type, status, headers or {})


class JsonResponse(Response):
    """Starlette's response, with the headers that all of ours have written down before."""

    def __init__(self, body: bytes, media_type: str, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            *_HEADERS[media_type],
            (b"content-length", b"%d" % len(body)),
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
        ]


_HEADERS = {
    media_type: (
        # Answers belong to one account: no cache on the way may keep them.
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
    )
    for media_type in (JSON, GRAPHQL_JSON)
}


def _range(part: str) -> tuple[str, float]:
    """Return one media range of an Accept header and its quality (RFC 9110, section 12.4.2); a malformed one counts
    as 0.
    """
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
