"""Strawberry's schema with a shorter way for operations that are compiled; each of the others it runs as ever."""

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graph.context import Context
from graph.documents.cache import DocumentCache, DocumentRefusedError
from graph.engine.answering import answer
from graph.engine.events import SharedResults
from graph.engine.operation import Events, Root
from graph.engine.run import Run
from graph.engine.streaming import stream

if TYPE_CHECKING:
    from strawberry.schema.schema import StreamResult

ANSWERED_AT_ONCE = (OperationType.QUERY, OperationType.MUTATION)


class CompilingSchema(strawberry.Schema):
    """A schema whose documents come from a cache. Without one nothing is compiled."""

    _documents: DocumentCache | None = None
    _shared: SharedResults

    def compile_from(self, documents: DocumentCache, *, shared_results_max: int) -> None:
        """Compile the cache's documents. So many results of subscriptions are kept for others to be told."""
        self._documents = documents
        self._shared = SharedResults(max_results=shared_results_max)

    def execute(  # noqa: PLR0917 - Strawberry's own shape
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Context | None = None,
        root_value: object = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> Coroutine[None, None, ExecutionResult]:
        """Answer a query or mutation."""
        begun = self._begin(
            query,
            operation_name,
            variables=variable_values,
            context=context_value,
            extensions=operation_extensions,
            allowed=tuple(allowed_operation_types or ANSWERED_AT_ONCE),
        )
        if begun is not None:
            run, plan = begun
            if isinstance(plan, Root):
                return answer(run, plan)
        return super().execute(
            query,
            variable_values=variable_values,
            context_value=context_value,
            root_value=root_value,
            operation_name=operation_name,
            allowed_operation_types=allowed_operation_types,
            operation_extensions=operation_extensions,
        )

    async def stream(  # noqa: PLR0917 - as above
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Context | None = None,
        root_value: object = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> "StreamResult":
        """Give the results of any operation. Those of a compiled subscription are RenderedResults."""
        begun = self._begin(
            query,
            operation_name,
            variables=variable_values,
            context=context_value,
            extensions=operation_extensions,
            allowed=tuple(allowed_operation_types or OperationType),
        )
        if begun is not None:
            return stream(*begun, self._shared)
        return await super().stream(
            query,
            variable_values=variable_values,
            context_value=context_value,
            root_value=root_value,
            operation_name=operation_name,
            operation_extensions=operation_extensions,
            allowed_operation_types=allowed_operation_types,
        )

    def _begin(
        self,
        text: str | None,
        operation_name: str | None,
        *,
        variables: dict[str, Any] | None,
        context: Context | None,
        extensions: dict[str, Any] | None,
        allowed: tuple[OperationType, ...],
    ) -> tuple[Run, Root | Events] | None:
        """A run of the compiled operation; None when Strawberry has to do it, refusals among the rest."""
        if self._documents is None or not text or context is None:
            return None
        try:
            document = self._documents.read(text, self._schema)
            document.check_cost(operation_name, variables, context.services.settings)
        except DocumentRefusedError:
            return None
        operation = document.compiled_for(operation_name, self)
        if operation is None or operation.kind not in allowed:
            return None
        return operation.begin(variables, context, extensions=extensions)
