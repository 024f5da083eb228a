"""A client's request, in the common form of HTTP bodies and `subscribe` messages.

{"query", "operationName", "variables", "extensions"}, or instead of `query` a name of its text: Relay's `documentId`
(also `id` and `doc_id`), or Apollo's `extensions.persistedQuery` with `sha256Hash`.
"""

from collections.abc import Mapping
from typing import Any

DOCUMENT_ID_NAMES = ("documentId", "id", "doc_id")
APOLLO_VERSION = 1
_MEMBERS = (
    ("query", str, "a text"),
    ("operationName", str, "a text"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


class InvalidPayloadError(Exception):
    """A member has the wrong shape. The text is short enough for the reason of a close frame (123 bytes)."""


def check_payload(payload: Mapping[str, object]) -> None:
    """Check the shape of every member; raises InvalidPayloadError."""
    for name, kind, words in _MEMBERS:
        value = payload.get(name)
        if value is not None and not isinstance(value, kind):
            raise InvalidPayloadError(f"{name} must be {words} or null.")
    digest = document_hash(payload)
    if not payload.get("query") and digest is None and document_id(payload) is None:
        raise InvalidPayloadError("query must be a text that is not empty.")


def document_id(payload: Mapping[str, object]) -> str | None:
    """Return the document's id in a manifest."""
    given = (payload.get(name) for name in DOCUMENT_ID_NAMES)
    return next((value for value in given if isinstance(value, str) and value), None)


def document_hash(payload: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 of the document in hexadecimal, as Apollo's clients send it; raise InvalidPayloadError."""
    asked = (payload.get("extensions") or {}).get("persistedQuery")
    if asked is None:
        return None
    if not isinstance(asked, dict) or asked.get("version") != APOLLO_VERSION:
        raise InvalidPayloadError(f"extensions.persistedQuery must be an object of version {APOLLO_VERSION}.")
    digest = asked.get("sha256Hash")
    if not isinstance(digest, str) or not digest:
        raise InvalidPayloadError("extensions.persistedQuery.sha256Hash must be a text that is not empty.")
    return digest.lower()
