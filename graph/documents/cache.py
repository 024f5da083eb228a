"""Documents, read once: parsed, measured against the limits, validated, with their cost computed, and cached by their
text.

Validation is nine tenths of an uncached request (1.5 ms of 1.6), so the text is looked up first. Refused texts are
cached too, separately: repeating a costly error costs the client requests, not us CPU. Both caches are bounded by
number and by length.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext

from graph.documents.cost import OperationCost, cost_operations
from graph.documents.lru import LruTexts
from graph.documents.measure import find_excess, is_nested_beyond, too_costly, too_large, too_nested
from graph.engine.operation import CompiledOperation
from graph.errors import ErrorCode, in_words_of_json, with_code
from graph.settings import GraphSettings

_REFUSED = parse("{ __typename }")
"""Stands in for a document that could not be used: Strawberry wants one even where it will not be run."""

_TOO_MANY_TOKENS = "tokens. Parsing aborted."
_TOO_DEEP = "nested too deeply. Parsing aborted."
_TOO_MANY_COMPARISONS = "Validation aborted."
"""How graphql-core's messages end when a limit has ended the reading."""


class DocumentRefusedError(Exception):
    """The document has an error or exceeds a limit."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        self.errors = errors
        super().__init__(errors)


class Document(str):
    """A document that may be executed: its text, the parsed document, the cost of each of its operations by name.

    It is a text so that it can be passed to Strawberry as the query: no later step looks it up again.
    """

    __slots__ = ("compiled", "costs", "node")
    node: DocumentNode
    costs: Mapping[str | None, OperationCost]
    compiled: dict[str | None, CompiledOperation | None]

    def __new__(cls, text: str, *, node: DocumentNode, costs: Mapping[str | None, OperationCost]) -> Self:
        """Create the document, with no operation compiled yet."""
        document = super().__new__(cls, text)
        document.node, document.costs, document.compiled = node, costs, {}
        return document

    def chosen(self, operation_name: str | None) -> OperationCost:
        """Return the cost of the selected operation; raise DocumentRefusedError when the selection is ambiguous."""
        if operation_name is None and len(self.costs) > 1:
            raise _no_operation("The document has several operations: name one in operationName.")
        if operation_name is None and self.costs:
            return next(iter(self.costs.values()))
        if operation_name not in self.costs:
            raise _no_operation("The document has no operation of that name.")
        return self.costs[operation_name]

    def check_cost(
        self, operation_name: str | None, variables: Mapping[str, Any] | None, settings: GraphSettings
    ) -> int:
        """Return how many objects the answer can hold; raise DocumentRefusedError when the operation is too costly with
        these variables, or there is none such."""
        objects = self.chosen(operation_name).objects_with(variables)
        _check_objects(objects, settings.max_cost_objects)
        return objects

    def check_least_cost(self, max_objects: int) -> None:
        """Raise DocumentRefusedError when one of the operations is too costly with any variables."""
        for cost in self.costs.values():
            _check_objects(cost.least_objects, max_objects)


class RefusedDocument(str):
    """The text of a document with an error or above a limit, and its errors."""

    __slots__ = ("errors",)
    errors: Sequence[GraphQLError]

    def __new__(cls, text: str, *, errors: Sequence[GraphQLError]) -> Self:
        """Create it with its errors."""
        document = super().__new__(cls, text)
        document.errors = errors
        return document


class DocumentCache:
    """Documents by their text, and those that were refused."""

    def __init__(self, settings: GraphSettings) -> None:
        self._settings = settings
        bounds = {
            "max_texts": settings.document_cache_max_documents,
            "max_characters": settings.document_cache_max_characters,
        }
        self._documents: LruTexts[Document] = LruTexts(**bounds)
        self._refused: LruTexts[RefusedDocument] = LruTexts(**bounds)

    def read(self, text: str, schema: GraphQLSchema) -> Document:
        """Return the document, ready to be run; raise DocumentRefusedError. What `find` or `add` returned is not
        looked up again.
        """
        document = text if isinstance(text, Document | RefusedDocument) else self.find(text)
        if document is None:
            document = self.add(text, schema)
        if isinstance(document, RefusedDocument):
            raise DocumentRefusedError(list(document.errors))
        return document

    def find(self, text: str) -> Document | RefusedDocument | None:
        """Return the cached document of that text, or None when it has to be parsed first."""
        document = self._documents.find(text)
        return self._refused.find(text) if document is None else document

    def add(self, text: str, schema: GraphQLSchema) -> Document | RefusedDocument:
        """Parse and validate a text that `find` did not find, and cache the result."""
        try:
            document = _read_document(text, schema, self._settings)
        except DocumentRefusedError as refused:
            refusal = RefusedDocument(text, errors=tuple(map(_without_nodes, refused.errors)))
            self._refused.keep(text, refusal, characters=len(text))
            return refusal
        self._documents.keep(text, document, characters=len(text))
        return document

    def __len__(self) -> int:
        return len(self._documents)


class CachedDocuments(SchemaExtension):
    """Puts the document into each operation. One instance for each operation, one cache for all."""

    def __init__(self, cache: DocumentCache) -> None:
        super().__init__()
        self._cache = cache

    def on_operation(self) -> Iterator[None]:
        """Set the document, or its errors; graphql-core then neither parses nor validates."""
        if self.execution_context.query:
            self._prepare(self.execution_context, self.execution_context.query)
        yield

    def _prepare(self, operation: ExecutionContext, text: str) -> None:
        operation.validation_rules = ()
        schema = operation.schema._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
        # Strawberry would execute the first of several operations where GraphQL requires a name.
        chosen = operation._provided_operation_name  # noqa: SLF001 - the public property already has that default
        try:
            document = self._cache.read(text, schema)
            document.check_cost(chosen, operation.variables, operation.context.services.settings)
        except DocumentRefusedError as refusal:
            operation._provided_operation_name = None  # noqa: SLF001 - the stand-in has no operation of that name
            operation.graphql_document = _REFUSED
            operation.pre_execution_errors = refusal.errors
        else:
            operation.graphql_document = document.node


def _check_objects(objects: int, max_objects: int) -> None:
    if objects > max_objects:
        raise DocumentRefusedError([too_costly(objects, max_objects)])


def _no_operation(message: str) -> DocumentRefusedError:
    return DocumentRefusedError([GraphQLError(message, extensions={"code": ErrorCode.OPERATION_RESOLUTION_FAILURE})])


def _rules(settings: GraphSettings) -> tuple[type[ASTValidationRule], ...]:
    """Return the validation rules. In production there is no introspection; the schema is published as a file."""
    rules = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
    return rules if settings.shows_graphiql else (*rules, NoSchemaIntrospectionCustomRule)


def _read_document(text: str, schema: GraphQLSchema, settings: GraphSettings) -> Document:
    if len(text) > settings.max_document_characters:
        raise DocumentRefusedError([too_large(len(text), "characters", limit=settings.max_document_characters)])
    if is_nested_beyond(settings.max_nesting, text):
        raise DocumentRefusedError([too_nested(settings.max_nesting)])
    try:
        node = parse(text, max_lexical_tokens=settings.max_tokens)
    except GraphQLError as error:
        raise DocumentRefusedError([_parse_failure(error, settings)]) from None
    excess = find_excess(node, settings)
    if excess is not None:
        raise DocumentRefusedError([excess])
    errors = validate(
        schema, node, _rules(settings), max_errors=settings.max_errors, hide_suggestions=not settings.is_development
    )
    if errors:
        raise DocumentRefusedError([_validation_failure(error) for error in errors])
    return Document(text, node=node, costs=cost_operations(node, schema, settings))


def _parse_failure(error: GraphQLError, settings: GraphSettings) -> GraphQLError:
    if error.message.endswith(_TOO_MANY_TOKENS):
        return too_large(f"more than {settings.max_tokens}", "tokens", limit=settings.max_tokens)
    if error.message.endswith(_TOO_DEEP):
        # The parser fails where its stack ends, which is above our limit.
        return too_nested(settings.max_nesting)
    return with_code(error, ErrorCode.GRAPHQL_PARSE_FAILED)


def _validation_failure(error: GraphQLError) -> GraphQLError:
    is_aborted = error.message == _TOO_MANY_COMPARISONS
    code = ErrorCode.DOCUMENT_TOO_LARGE if is_aborted else ErrorCode.GRAPHQL_VALIDATION_FAILED
    return with_code(in_words_of_json(error), code)


def _without_nodes(error: GraphQLError) -> GraphQLError:
    """Return the error without the parsed document, which may be long."""
    return GraphQLError(
        error.message, source=error.source, positions=error.positions, path=error.path, extensions=error.extensions
    )
