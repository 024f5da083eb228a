"""GraphQL over HTTP on the way out: the negotiated media type, the status, and JSON bodies for every error."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response
from strawberry.types import ExecutionResult

from graph.requests import JSON, UnusableRequest

GRAPHQL_JSON = "application/graphql-response+json"


def encode_json(content: object) -> bytes:
    """Encode what the schema gives: texts, integers, booleans, nothing else."""
    return orjson.dumps(content)


def negotiate(accept: str | None) -> str:
    """The media type for an Accept header: the newer one only for clients that prefer it or want nothing older.

    Without a header, or when neither is acceptable, it is application/json: an answer that every client can read.
    """
    qualities: dict[str, float] = {}
    for part in (accept or "").split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities[media_type] = _quality(parameters)
    newer, older = qualities.get(GRAPHQL_JSON, 0.0), qualities.get(JSON, 0.0)
    # At equal quality the newer one is meant: clients that list both list it first.
    return GRAPHQL_JSON if newer > 0 and newer >= older else JSON


def result_response(result: ExecutionResult, media_type: str) -> Response:
    """The answer to a request that was run, or refused by GraphQL before it was.

    Nothing ran when there is no data and no error names a path. In the newer media type that is a 400 without `data`;
    in the older one it is a 200, as its clients expect.
    """
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    never_ran = result.data is None and not any(error.path for error in result.errors or ())
    if media_type == GRAPHQL_JSON and never_ran:
        del body["data"]
        return _json(body, media_type, HTTPStatus.BAD_REQUEST)
    return _json(body, media_type, HTTPStatus.OK)


def refusal_response(refusal: UnusableRequest, media_type: str) -> Response:
    """The answer to a request that is no GraphQL request."""
    body = {"errors": [{"message": str(refusal), "extensions": {"code": refusal.code}}]}
    return _json(body, media_type, refusal.status, refusal.headers)


def _json(
    body: Mapping[str, object], media_type: str, status: HTTPStatus, headers: Mapping[str, str] | None = None
) -> Response:
    # Answers belong to one account: no cache on the way may keep them.
    return Response(
        encode_json(body),
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type=f"{media_type}; charset=utf-8",
    )


def _quality(parameters: list[str]) -> float:
    text = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0.0
