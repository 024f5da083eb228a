"""Documents, read once: parsed, measured against the limits, validated, and kept by their text.

Validation is nine tenths of an uncached request (1.5 ms of 1.6), so the text is looked up before anything else. Only
good documents are kept, and both their number and their total length are bounded.
"""

from collections import OrderedDict
from collections.abc import Iterator

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext

from graph.document_limits import find_excess, too_large
from graph.errors import with_code
from graph.settings import GraphSettings

_REFUSED = parse("{ __typename }")
"""Stands in for a document that could not be used: Strawberry wants one even where it will not be run."""


class UnusableDocument(Exception):  # noqa: N818 - read as a sentence: raise UnusableDocument
    """The document has a mistake or asks for too much."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        self.errors = errors
        super().__init__(errors)


class DocumentCache:
    """Documents by their text, the least recently used dropped first."""

    def __init__(self, settings: GraphSettings) -> None:
        self._settings = settings
        self._documents: OrderedDict[str, DocumentNode] = OrderedDict()
        self._characters = 0

    def read(self, text: str, schema: GraphQLSchema) -> DocumentNode:
        """The document, ready to be run; raises UnusableDocument."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            return document
        document = _read_document(text, schema, self._settings)
        self._keep(text, document)
        return document

    def __len__(self) -> int:
        return len(self._documents)

    def _keep(self, text: str, document: DocumentNode) -> None:
        self._documents[text] = document
        self._characters += len(text)
        while (
            len(self._documents) > self._settings.document_cache_max_documents
            or self._characters > self._settings.document_cache_max_characters
        ):
            dropped, _ = self._documents.popitem(last=False)
            self._characters -= len(dropped)


class CachedDocuments(SchemaExtension):
    """Puts the document into each operation. One instance for each operation, one cache for all."""

    def __init__(self, cache: DocumentCache) -> None:
        super().__init__()
        self._cache = cache

    def on_operation(self) -> Iterator[None]:
        """Set the document, or the errors that stand in its way; graphql-core then neither parses nor validates."""
        if self.execution_context.query:
            self._prepare(self.execution_context, self.execution_context.query)
        yield

    def _prepare(self, operation: ExecutionContext, text: str) -> None:
        operation.validation_rules = ()
        schema = operation.schema._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
        # Strawberry would run the first of several operations where GraphQL wants the client to name one.
        chosen = operation._provided_operation_name  # noqa: SLF001 - the public property already has that default
        try:
            document = self._cache.read(text, schema)
            _check_choice(document, chosen)
        except UnusableDocument as refusal:
            operation._provided_operation_name = None  # noqa: SLF001 - the stand-in has no operation of that name
            operation.graphql_document = _REFUSED
            operation.pre_execution_errors = refusal.errors
        else:
            operation.graphql_document = document


def _check_choice(document: DocumentNode, operation_name: str | None) -> None:
    names = [
        node.name and node.name.value for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    if operation_name is None and len(names) > 1:
        raise UnusableDocument([_no_operation("The document has several operations: name one in operationName.")])
    if operation_name is not None and operation_name not in names:
        raise UnusableDocument([_no_operation("The document has no operation of that name.")])


def _no_operation(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})


def _rules(settings: GraphSettings) -> tuple[type[ASTValidationRule], ...]:
    """What a document must keep to. In production the schema is not told to whoever asks; it is published as a file."""
    if settings.is_development:
        return tuple(specified_rules)
    return (*specified_rules, NoSchemaIntrospectionCustomRule)


def _read_document(text: str, schema: GraphQLSchema, settings: GraphSettings) -> DocumentNode:
    if len(text) > settings.max_document_characters:
        raise UnusableDocument([too_large(f"A document may have {settings.max_document_characters} characters.")])
    try:
        document = parse(text, max_tokens=settings.max_tokens)
    except GraphQLError as error:
        raise UnusableDocument([with_code(error, "GRAPHQL_PARSE_FAILED")]) from None
    try:
        excess = find_excess(document, settings)
        errors = [] if excess else validate_document(schema, document, _rules(settings))
    except RecursionError:
        # A long chain of fragments; the parser bounds only what is nested in one another directly.
        excess, errors = too_large("The document is nested too deeply."), []
    if excess is not None:
        raise UnusableDocument([excess])
    if errors:
        raise UnusableDocument([with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in errors])
    return document
