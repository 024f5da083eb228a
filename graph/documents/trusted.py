"""Documents by name instead of by text: those of a manifest, which were checked at the start, and those that clients
register by their hash (Apollo's automatic persisted queries).

A registered text is stored by this process only: a client that reaches another process gets PERSISTED_QUERY_NOT_FOUND
and its library sends the text again.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLSchema

from graph.documents.cache import Document, DocumentCache, DocumentRefusedError, RefusedDocument
from graph.documents.lru import LruTexts
from graph.documents.payloads import document_hash, document_id
from graph.errors import ErrorCode
from graph.settings import DocumentPolicy, GraphSettings, TrustedDocument

APOLLO_FORMAT = "apollo-persisted-query-manifest"
APOLLO_VERSION = 1


class InvalidManifestError(ValueError):
    """The manifest cannot be used; the message has the fix."""


def read_manifest(path: Path) -> tuple[TrustedDocument, ...]:
    """Return the documents of Relay's persisted_queries.json ({id: text}) or of Apollo's manifest; raise
    InvalidManifestError.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidManifestError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidManifestError(f"{path} is no JSON object.")
    documents = _apollo(content, path) if "format" in content else _relay(content, path)
    if not documents:
        raise InvalidManifestError(f"{path} holds no document.")
    return documents


def _relay(content: Mapping[str, object], path: Path) -> tuple[TrustedDocument, ...]:
    for key, text in content.items():
        if not isinstance(text, str):
            raise InvalidManifestError(f"{path}: {key} is no text.")
    return tuple(TrustedDocument(id=key, name=key, text=str(text)) for key, text in content.items())


def _apollo(content: Mapping[str, Any], path: Path) -> tuple[TrustedDocument, ...]:
    if content["format"] != APOLLO_FORMAT or content.get("version") != APOLLO_VERSION:
        raise InvalidManifestError(f"{path} must have the format {APOLLO_FORMAT}, version {APOLLO_VERSION}.")
    operations = content.get("operations")
    if not isinstance(operations, list):
        raise InvalidManifestError(f"{path}: operations is no list.")
    documents = []
    for number, operation in enumerate(operations):
        members = operation if isinstance(operation, dict) else {}
        texts = [members.get(member) for member in ("id", "name", "body")]
        if not all(isinstance(text, str) and text for text in texts):
            raise InvalidManifestError(f"{path}: operation {number} must have id, name and body, each a text.")
        documents.append(TrustedDocument(id=str(texts[0]), name=str(texts[1]), text=str(texts[2])))
    return tuple(documents)


class KnownDocuments:
    """Finds the requested document, by the policy of the settings. Raises InvalidManifestError when a trusted
    document cannot be executed.
    """

    def __init__(self, settings: GraphSettings, *, cache: DocumentCache, schema: GraphQLSchema) -> None:
        self._settings = settings
        self._cache = cache
        self._schema = schema
        self._trusted = _by_names(settings.trusted_documents, self._check)
        self._registered: LruTexts[str] = LruTexts(
            max_texts=settings.persisted_max_documents, max_characters=settings.persisted_max_characters
        )

    async def resolve(
        self, payload: Mapping[str, object], *, admit_new: Callable[[], Awaitable[None]]
    ) -> Document | RefusedDocument:
        """Return the document; raise DocumentRefusedError when the request names none that may be executed.

        The payload has passed `check_payload`. `admit_new` is awaited before a text of the request is parsed, and
        raises when the request must not continue. The cache is looked up once, here: pass the result on.
        """
        text = payload.get("query")
        given = text if isinstance(text, str) and text else None
        cached = None
        if given is not None and (cached := self._cache.find(given)) is None:
            await admit_new()
        match self._settings.documents:
            case DocumentPolicy.TRUSTED:
                return self._read(self._resolve_trusted(payload, given), given, cached)
            case DocumentPolicy.APQ:
                return self._resolve_registered(payload, given, cached)
        if given is None:
            raise _refusal("PersistedQueryNotSupported", ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED)
        return self._read(given, given, cached)

    def _resolve_trusted(self, payload: Mapping[str, object], given: str | None) -> str:
        # A text is accepted as well when it equals one of the manifest's exactly.
        name = document_id(payload) or document_hash(payload) or _sha256(given or "")
        text = self._trusted.get(name)
        if text is None or given not in {None, text}:
            raise _refusal("This document is not one of the trusted ones.", ErrorCode.DOCUMENT_NOT_TRUSTED)
        return text

    def _resolve_registered(
        self, payload: Mapping[str, object], given: str | None, cached: Document | RefusedDocument | None
    ) -> Document | RefusedDocument:
        name, digest = document_id(payload), document_hash(payload)
        if given is None:
            found = (
                self._trusted.get(name or "") or self._trusted.get(digest or "") or self._registered.find(digest or "")
            )
            if found is None:
                raise _refusal("PersistedQueryNotFound", ErrorCode.PERSISTED_QUERY_NOT_FOUND)
            return self._read(found, None, None)
        if digest is not None and _sha256(given) != digest:
            raise _refusal("provided sha does not match query", ErrorCode.BAD_REQUEST)
        document = self._read(given, given, cached)
        if digest is not None and self._can_be_run(document):
            self._registered.keep(digest, given, characters=len(given))
        return document

    def _read(
        self, text: str, given: str | None, cached: Document | RefusedDocument | None
    ) -> Document | RefusedDocument:
        """Return the document of a text, which was looked up already if it is the text of the request."""
        document = cached if given is not None else self._cache.find(text)
        return self._cache.add(text, self._schema) if document is None else document

    def _can_be_run(self, document: Document | RefusedDocument) -> bool:
        # What cannot be run is not registered: running it shows the client why.
        try:
            self._check(document)
        except DocumentRefusedError:
            return False
        return True

    def _check(self, text: str) -> None:
        """Read a document as for running it. Raises DocumentRefusedError."""
        self._cache.read(text, self._schema).check_least_cost(self._settings.max_cost_objects)


def _by_names(documents: tuple[TrustedDocument, ...], check: Callable[[str], object]) -> Mapping[str, str]:
    """Each text by its id and by its hash; raises InvalidManifestError for the first that could not be run."""
    names: dict[str, str] = {}
    for document in documents:
        try:
            check(document.text)
        except DocumentRefusedError as refusal:
            raise InvalidManifestError(f"{document.name} cannot be run: {refusal.errors[0].message}") from refusal
        if names.setdefault(document.id, document.text) != document.text:
            raise InvalidManifestError(f"{document.name} has the id of another document: {document.id}.")
        names[_sha256(document.text)] = document.text
    return names


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refusal(message: str, code: ErrorCode) -> DocumentRefusedError:
    return DocumentRefusedError([GraphQLError(message, extensions={"code": code})])
