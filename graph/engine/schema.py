"""Strawberry's schema with a fast path for compiled operations; the others run in Strawberry."""

from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.utils.aio import aclosing

from graph.engine.answering import answer, failure, public_errors
from graph.engine.events import SharedResults, open_events
from graph.engine.hooks import CompilableDocument, EngineHooks
from graph.engine.operation import CompiledOperation, Events, Root, compile_operation
from graph.engine.run import Context, Run

if TYPE_CHECKING:
    from strawberry.schema.schema import StreamResult

ANSWERED_AT_ONCE = (OperationType.QUERY, OperationType.MUTATION)


class CompilingSchema(strawberry.Schema):
    """A schema that compiles operations once it has hooks. Without them Strawberry runs everything."""

    hooks: EngineHooks | None = None
    _shared: SharedResults

    def compile_operations(self, hooks: EngineHooks) -> None:
        """Compile from now on the operations whose documents the hooks find."""
        self.hooks = hooks
        self._shared = SharedResults(max_results=hooks.shared_results_max)

    def compiled_operation(self, document: CompilableDocument, operation_name: str | None) -> CompiledOperation | None:
        """Return the document's operation of that name, which must have one, compiled on the first call; None when it
        is not compilable."""
        compiled = document.compiled
        if operation_name not in compiled:
            exact_types = {} if self.hooks is None else self.hooks.exact_types
            compiled[operation_name] = compile_operation(self, document.node, operation_name, exact_types=exact_types)
        return compiled[operation_name]

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
        hooks = self.hooks
        if hooks is not None:
            begun = self._begin(
                hooks,
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
                    return answer(run, plan, hooks)
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
        """Return the results of any operation. Those of a compiled subscription are RenderedResults."""
        hooks = self.hooks
        if hooks is not None:
            begun = self._begin(
                hooks,
                query,
                operation_name,
                variables=variable_values,
                context=context_value,
                extensions=operation_extensions,
                allowed=tuple(allowed_operation_types or OperationType),
            )
            if begun is not None:
                run, plan = begun
                return stream(run, plan, shared=self._shared, hooks=hooks)
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
        hooks: EngineHooks,
        query: str | None,
        operation_name: str | None,
        *,
        variables: dict[str, Any] | None,
        context: Context | None,
        extensions: dict[str, Any] | None,
        allowed: tuple[OperationType, ...],
    ) -> tuple[Run, Root | Events] | None:
        """Return a run of the compiled operation; None when Strawberry has to answer, with a refusal for example."""
        if not query or context is None:
            return None
        found = hooks.find_document(query, operation_name, variables, context)
        if found is None:
            return None
        document, objects = found
        operation = self.compiled_operation(document, operation_name)
        if operation is None or operation.kind not in allowed:
            return None
        return operation.begin(variables, context, objects=objects, extensions=extensions)


async def stream(
    run: Run, plan: Root | Events, *, shared: SharedResults, hooks: EngineHooks
) -> AsyncGenerator[ExecutionResult]:
    """Yield the one result of a query or mutation, or those of a subscription, of which only the start is under the
    deadline.
    """
    if isinstance(plan, Root):
        yield await answer(run, plan, hooks)
        return
    try:
        with hooks.deadline(run.context, run.source.kind):
            events = await open_events(run, plan, shared=shared, hooks=hooks)
    except GraphQLError as refusal:
        yield PreExecutionError(data=None, errors=public_errors([refusal], run, hooks))
        return
    except Exception as error:  # noqa: BLE001 - as for an answer: the deadline, or a mistake of ours
        # Not an event of a stream that then completes: a client would treat the stream as ended.
        yield PreExecutionError(data=None, errors=failure(error, run, hooks).errors)
        return
    async with aclosing(events):
        async for result in events:
            yield result
