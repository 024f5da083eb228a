"""The schema: the types, the limits of an operation, and what becomes of errors."""

from collections.abc import AsyncIterator, Mapping

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from graph.context import Context
from graph.documents.cache import CachedDocuments, DocumentCache
from graph.documents.trusted import KnownDocuments
from graph.engine.schema import CompilingSchema
from graph.errors import public_error
from graph.limits.deadline import Deadline
from graph.schema.descriptions import describe
from graph.schema.mutations import Mutation
from graph.schema.queries import Query
from graph.schema.scalars import SCALARS
from graph.schema.subscriptions import Subscription
from graph.schema.trading_control import TradingMutation, TradingQuery
from graph.settings import GraphSettings


class Schema(CompilingSchema):
    """Strawberry's schema with errors that are fit to be seen, and with documents that are known by a name."""

    known_documents: KnownDocuments
    document_cache: DocumentCache

    def resolve_document(self, payload: Mapping[str, object]) -> str:
        """The text that a request means, on either transport; raises DocumentRefusedError, with errors to be sent.

        `payload` is the JSON body or the payload of a `subscribe` message, after `check_payload`.
        """
        return self.known_documents.resolve(payload)

    def is_new_document(self, payload: Mapping[str, object]) -> bool:
        """Whether the text of a request would have to be read first, as `resolve_document` may do already."""
        text = payload.get("query")
        return isinstance(text, str) and bool(text) and not self.document_cache.knows(text)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by what the client may see of it, and log the unexpected ones.

        The list is the very one that is sent, so it is changed in place. That holds for results, for requests that
        never ran, and for each message of a subscription.
        """
        context: Context | None = execution_context.context if execution_context else None
        if context is not None:
            errors[:] = [public_error(error, context.services.telemetry) for error in errors]


class UnderDeadline(SchemaExtension):
    """Ends an operation that takes too long, and measures the others; a query waits for its account's turn. Of a
    subscription it spans only the start."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Run the operation under the deadline."""
        operation = self.execution_context
        with Deadline(operation.context.services, kind=operation.operation_type.value):
            if operation.operation_type is OperationType.QUERY:
                async with operation.context.turn():
                    yield
            else:
                yield


def build_schema(settings: GraphSettings) -> Schema:
    """Build the schema, with a document cache of its own; raises InvalidManifestError when a trusted document cannot be
    run."""
    cache = DocumentCache(settings)
    schema = Schema(
        query=merge_types("Query", (Query, TradingQuery)),
        mutation=merge_types("Mutation", (Mutation, TradingMutation)),
        subscription=Subscription,
        extensions=[lambda: CachedDocuments(cache), UnderDeadline],
        config=StrawberryConfig(
            scalar_map=SCALARS,
            relay_max_results=settings.page_max_rows,
            # Suggestions tell a stranger the schema, name by name.
            disable_field_suggestions=not settings.is_development,
        ),
    )
    schema.document_cache = cache
    core = schema._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
    describe(core)
    if settings.compiled_operations:
        schema.compile_from(cache, shared_results_max=settings.shared_results_max)

    def check(text: str) -> None:
        cache.read(text, core).check_least_cost(settings.max_cost_objects)

    schema.known_documents = KnownDocuments(settings, check=check)
    return schema
