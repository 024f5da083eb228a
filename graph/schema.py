"""The schema: the types, the limits of an operation, and what becomes of errors."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from domain.telemetry import Metric
from graph.context import Context
from graph.documents import CachedDocuments, DocumentCache
from graph.errors import OperationTimedOut, public_error
from graph.mutations import Mutation
from graph.queries import Query
from graph.scalars import SCALARS
from graph.settings import GraphSettings
from graph.subscriptions import Subscription


class Schema(strawberry.Schema):
    """Strawberry's schema with errors that are fit to be seen."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Replace each error by what the client may see of it, and log the unexpected ones.

        The list is the very one that is sent, so it is changed in place. That holds for results, for requests that
        never ran, and for each message of a subscription.
        """
        context: Context | None = execution_context.context if execution_context else None
        if context is not None:
            errors[:] = [public_error(error, context.services.telemetry) for error in errors]


class Deadline(SchemaExtension):
    """Ends an operation that takes too long, and measures the others. Of a subscription it spans only the start."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Run the operation under the deadline."""
        services = self.execution_context.context.services
        seconds = services.settings.operation_timeout_seconds
        started = perf_counter()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                yield
        except TimeoutError:
            if deadline.expired():
                raise OperationTimedOut from None
            raise
        finally:
            kind = self.execution_context.operation_type.value
            services.telemetry.observe(Metric.OPERATION_SECONDS, perf_counter() - started, type=kind)


def build_schema(settings: GraphSettings) -> Schema:
    """Build the schema, with a document cache of its own."""
    cache = DocumentCache(settings)
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=[lambda: CachedDocuments(cache), Deadline],
        config=StrawberryConfig(
            scalar_map=SCALARS,
            relay_max_results=settings.page_max_rows,
            # Suggestions tell a stranger the schema, name by name.
            disable_field_suggestions=not settings.is_development,
        ),
    )
