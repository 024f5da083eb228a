"""From an HTTP request to a GraphQL request. Whatever is wrong with it has a status, a code and a sentence."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request

JSON = "application/json"


class UnusableRequest(Exception):  # noqa: N818 - read as a sentence: raise UnusableRequest
    """The request cannot be answered with data."""

    def __init__(self, status: HTTPStatus, *, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.headers = headers or {}
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """What the client wants to have run."""

    document: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = field(default=None)


async def read_request(request: Request, *, body_max_bytes: int) -> GraphQLRequest:
    """Read the body; raises UnusableRequest."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON:
        raise UnusableRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, code="BAD_REQUEST", message=f"Send the request as {JSON}."
        )
    body = await _read_body(request, max_bytes=body_max_bytes)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _bad_request("The body is not JSON.") from None
    return _from_json(content)


async def _read_body(request: Request, *, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise UnusableRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                code="BODY_TOO_LARGE",
                message=f"The body may have {max_bytes} bytes.",
                # What is left of the body is not read, so nothing else can follow on this connection.
                headers={"connection": "close"},
            )
    return bytes(body)


def _from_json(content: object) -> GraphQLRequest:
    if not isinstance(content, dict):
        raise _bad_request("The body must be a JSON object; batches are not taken.")
    document, operation_name, variables = (content.get(name) for name in ("query", "operationName", "variables"))
    if not isinstance(document, str) or not document:
        raise _bad_request("query must be a text that is not empty.")
    if not isinstance(operation_name, str | None):
        raise _bad_request("operationName must be a text or null.")
    if not isinstance(variables, dict | None):
        raise _bad_request("variables must be an object or null.")
    if not isinstance(content.get("extensions"), dict | None):
        raise _bad_request("extensions must be an object or null.")
    return GraphQLRequest(document=document, operation_name=operation_name or None, variables=variables)


def _bad_request(message: str) -> UnusableRequest:
    return UnusableRequest(HTTPStatus.BAD_REQUEST, code="BAD_REQUEST", message=message)
