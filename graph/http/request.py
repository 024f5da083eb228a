"""From an HTTP request, in ASGI form, to a GraphQL request. Each refusal has a status, a code and a message."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import uuid_utils
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope

from domain.model.frozen import frozen
from graph.documents.payloads import InvalidPayloadError, check_payload
from graph.errors import ErrorCode

JSON = "application/json"
_JSON_PARAMETERS = ("variables", "extensions")
_LISTS = frozenset({b"accept", b"accept-encoding"})
_READ_HEADERS = _LISTS | {b"authorization", b"content-encoding", b"content-length", b"content-type", b"x-request-id"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class RequestRefusedError(Exception):
    """The request cannot be answered with data. `details` are added to the error's extensions."""

    def __init__(
        self,
        status: HTTPStatus,
        *,
        code: ErrorCode,
        message: str,
        headers: dict[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.details = details or {}
        super().__init__(message)


class HttpRequest:
    """One request with the headers used here; Starlette's own look-up searches all of them each time.

    `headers` has the first value of each by its name in lower case, and all values of a list (RFC 9110, section 5.3).
    """

    __slots__ = ("headers", "method", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.headers: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name not in _READ_HEADERS:
                continue
            if name not in self.headers:
                self.headers[name] = value.decode("latin-1")
            elif name in _LISTS:
                self.headers[name] += "," + value.decode("latin-1")

    def id(self) -> str:
        """Return the caller's id of the request, or a fresh uuid version 7 when there is none that can be logged."""
        given = self.headers.get(b"x-request-id")
        return given if given is not None and _REQUEST_ID.fullmatch(given) else str(uuid_utils.uuid7())

    async def read_body(self, *, max_bytes: int) -> bytes | None:
        """Return the body, or None as soon as it is longer. Raises ClientDisconnect."""
        body = b""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            body = body + part if body else part
            if len(body) > max_bytes:
                return None
            if not message.get("more_body", False):
                return body


@frozen
class GraphQLRequest:
    """The client's request: the whole payload, which contains the document, or a name of it."""

    payload: Mapping[str, Any]
    operation_name: str | None = None
    variables: dict[str, Any] | None = None


def read_query_string(request: Request) -> GraphQLRequest:
    """Read a request by GET; raises RequestRefusedError. Of a parameter that is repeated the last one counts."""
    payload: dict[str, object] = dict(request.query_params)
    for name in _JSON_PARAMETERS:
        if name in payload:
            payload[name] = _parameter(name, str(payload[name]))
    return _request_from(payload)


async def read_request(request: HttpRequest, *, body_max_bytes: int) -> GraphQLRequest:
    """Read a request by POST; raises RequestRefusedError."""
    _check_content(request.headers.get(b"content-type", ""), request.headers.get(b"content-encoding"))
    announced = request.headers.get(b"content-length", "")
    if announced.isdecimal() and int(announced[:20]) > body_max_bytes:
        raise _too_large(body_max_bytes)
    body = await request.read_body(max_bytes=body_max_bytes)
    if body is None:
        raise _too_large(body_max_bytes)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The body is not JSON.") from None
    if not isinstance(content, dict):
        raise bad_request("The body must be a JSON object; batches are not taken.")
    return _request_from(content)


def bad_request(message: str) -> RequestRefusedError:
    """Return the refusal of a request that the client has to change."""
    return RequestRefusedError(HTTPStatus.BAD_REQUEST, code=ErrorCode.BAD_REQUEST, message=message)


def _check_content(content_type: str, encoding: str | None) -> None:
    if not _is_plain_json(content_type) or (encoding is not None and encoding.lower() != "identity"):
        raise RequestRefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            code=ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            message=f"Send the request as {JSON}, in UTF-8 and not compressed.",
        )


def _is_plain_json(content_type: str) -> bool:
    if content_type == JSON:
        return True
    media_type, *parameters = (part.strip().lower() for part in content_type.replace('"', "").split(";"))
    charsets = {part.removeprefix("charset=") for part in parameters if part.startswith("charset=")}
    return media_type == JSON and charsets <= {"utf-8", "utf8"}


def _too_large(max_bytes: int) -> RequestRefusedError:
    return RequestRefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        code=ErrorCode.BODY_TOO_LARGE,
        message=f"The body may have {max_bytes} bytes.",
        # The rest of the body is not parsed as a request, so none can follow on this connection.
        headers={"connection": "close"},
        details={"limit": max_bytes},
    )


def _parameter(name: str, text: str) -> object:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        raise bad_request(f"{name} is not JSON.") from None


def _request_from(payload: Mapping[str, Any]) -> GraphQLRequest:
    try:
        check_payload(payload)
    except InvalidPayloadError as mistake:
        raise bad_request(str(mistake)) from None
    return GraphQLRequest(
        payload=payload, operation_name=payload.get("operationName") or None, variables=payload.get("variables")
    )
