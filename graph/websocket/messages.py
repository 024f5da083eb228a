"""The messages of a client, checked exactly before they are used."""

from collections.abc import Mapping
from typing import Any

from graph.documents.payloads import InvalidPayloadError, check_payload

OPERATION_ID_MAX_CHARACTERS = 128
_KINDS = frozenset({"connection_init", "ping", "pong", "subscribe", "complete"})


class InvalidMessageError(Exception):
    """The client broke the protocol. The text is short: it becomes the reason of a close frame (123 bytes)."""


def read_message(given: object) -> dict[str, Any]:
    """Return the message, with null payloads left out; raise InvalidMessageError."""
    if not isinstance(given, dict):
        raise InvalidMessageError("A message must be a JSON object")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidMessageError("Unknown message type")
    if kind in {"subscribe", "complete"}:
        _check_id(given.get("id"))
    message = dict(given)
    if message.get("payload") is None:
        message.pop("payload", None)
    if kind == "subscribe":
        _check_operation(message.get("payload"))
    elif not isinstance(message.get("payload", {}), dict):
        raise InvalidMessageError("payload must be an object")
    return message


def _check_id(operation_id: object) -> None:
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= OPERATION_ID_MAX_CHARACTERS:
        raise InvalidMessageError(f"id must be a text of 1 to {OPERATION_ID_MAX_CHARACTERS} characters")


def _check_operation(payload: object) -> None:
    if not isinstance(payload, Mapping):
        raise InvalidMessageError("payload must be an object")
    try:
        check_payload(payload)
    except InvalidPayloadError as mistake:
        raise InvalidMessageError(f"payload.{mistake}") from None
