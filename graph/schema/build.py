"""The schema: the types, the limits of an operation, and what becomes of errors."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from graphql import GraphQLError, GraphQLSchema
from graphql.utilities.print_schema import print_schema_definition
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from domain.model.values import format_decimal
from graph.context import Context
from graph.documents.cache import CachedDocuments, Document, DocumentCache, DocumentRefusedError
from graph.documents.trusted import KnownDocuments
from graph.documents.variable_errors import variable_errors
from graph.engine.hooks import EngineHooks
from graph.engine.schema import CompilingSchema
from graph.errors import is_of_request, public_error
from graph.schema.audit_trail import AuditQuery
from graph.schema.descriptions import describe
from graph.schema.mutations import Mutation
from graph.schema.queries import Query
from graph.schema.resolution import ResolutionMutation, ResolutionQuery
from graph.schema.scalars import SCALARS, write_date_time
from graph.schema.subscriptions import Subscription
from graph.schema.token_revocation import RevocationMutation
from graph.schema.trading_control import TradingMutation, TradingQuery
from graph.settings import GraphSettings


class Schema(CompilingSchema):
    """Strawberry's schema with errors in public form, and with documents that are known by a name."""

    documents: KnownDocuments
    """Finds the document that a request means: the JSON body, or the payload of a `subscribe` message. What it returns
    is the query to execute."""

    def as_str(self) -> str:
        """Return the schema's text, with the description of the schema itself: Strawberry's printer leaves it out."""
        return f"{print_schema_definition(self._schema)}\n\n{super().as_str()}"

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by its public form, and log the unexpected ones.

        The list is the one that is sent, so it is changed in place. That applies to results, to requests that were not
        executed, and to each message of a subscription.
        """
        context: Context | None = execution_context.context if execution_context else None
        if context is None or execution_context is None:
            return
        found = _errors_of_variables(execution_context, context) if any(map(is_of_request, errors)) else ()
        errors[:] = found or [_public_error(error, context) for error in errors]


class UnderDeadline(SchemaExtension):
    """Ends an operation that takes too long, and measures the others; a query waits for slots of its account. It
    spans only the start of a subscription.
    """

    def __init__(self, cache: DocumentCache) -> None:
        super().__init__()
        self._cache = cache

    async def on_execute(self) -> AsyncIterator[None]:
        """Run the operation under the deadline."""
        operation = self.execution_context
        with operation.context.deadline(operation.operation_type.value):
            if operation.operation_type is OperationType.QUERY:
                async with operation.context.query_slots(self._objects()):
                    yield
            else:
                yield

    def _objects(self) -> int:
        operation = self.execution_context
        core = operation.schema._schema  # noqa: SLF001 - as in build_schema
        document = self._cache.read(operation.query or "", core)
        return document.check_cost(operation.operation_name, operation.variables, operation.context.services.settings)


def _errors_of_variables(operation: ExecutionContext, context: Context) -> Sequence[GraphQLError]:
    document = operation.graphql_document
    if document is None:
        return ()
    return variable_errors(
        operation.schema._schema,  # noqa: SLF001 - as in build_schema
        document,
        operation.operation_name,
        operation.variables or {},
        shows_suggestions=context.services.settings.is_development,
    )


def _public_error(error: GraphQLError, context: Context) -> GraphQLError:
    services = context.services
    return public_error(error, services.telemetry, shows_suggestions=services.settings.is_development)


def build_schema(settings: GraphSettings) -> Schema:
    """Build the schema, with its own document cache; raise InvalidManifestError when a trusted document cannot be
    executed.
    """
    cache = DocumentCache(settings)
    schema = Schema(
        query=merge_types("Query", (Query, TradingQuery, AuditQuery, ResolutionQuery)),
        mutation=merge_types("Mutation", (Mutation, TradingMutation, RevocationMutation, ResolutionMutation)),
        subscription=Subscription,
        extensions=[lambda: CachedDocuments(cache), lambda: UnderDeadline(cache)],
        config=StrawberryConfig(
            scalar_map=SCALARS,
            relay_max_results=settings.page_max_rows,
            # Suggestions would reveal the schema, name by name.
            disable_field_suggestions=not settings.is_development,
        ),
    )
    core = schema._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
    describe(core)
    schema.documents = KnownDocuments(settings, cache=cache, schema=core)
    if settings.compiled_operations:
        schema.compile_operations(_engine_hooks(cache, core, settings))
    return schema


def _engine_hooks(cache: DocumentCache, core: GraphQLSchema, settings: GraphSettings) -> EngineHooks:
    def find_document(
        query: str, operation_name: str | None, variables: Mapping[str, Any] | None, context: Context
    ) -> tuple[Document, int] | None:
        try:
            document = cache.read(query, core)
            return document, document.check_cost(operation_name, variables, context.services.settings)
        except DocumentRefusedError:
            return None

    return EngineHooks(
        find_document=find_document,
        deadline=Context.deadline,
        query_slots=Context.query_slots,
        public_error=_public_error,
        exact_types={format_decimal: Decimal, write_date_time: datetime},
        shared_results_max=settings.shared_results_max,
    )
