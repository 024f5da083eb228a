"""Running a compiled query or mutation to its answer."""

from types import CoroutineType

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from graph.engine.hooks import EngineHooks
from graph.engine.operation import Root
from graph.engine.run import Run


async def answer(run: Run, root: Root, hooks: EngineHooks) -> ExecutionResult:
    """Run a query or mutation under the deadline, with errors in public form."""
    try:
        with hooks.deadline(run.context, run.source.kind):
            if root.is_serial:
                result = await execute(run, root)
            else:
                async with hooks.query_slots(run.context, run.objects):
                    result = await execute(run, root)
    except Exception as error:  # noqa: BLE001 - no field's error: the deadline, or a mistake of ours
        return failure(error, run, hooks)
    if run.errors:
        result.errors = public_errors(run.errors, run, hooks)
    return result


async def execute(run: Run, root: Root) -> ExecutionResult:
    """Return data and errors as graphql-core would."""
    try:
        if root.is_serial:
            data = await root.selection.execute_serially(None, run)
        else:
            begun = root.selection.execute(None, None, run)
            data = await begun if type(begun) is CoroutineType else begun
    except GraphQLError as error:
        run.note(error, None)
        data = None
    return ExecutionResult(data=data, errors=run.errors or None)


def failure(error: Exception, run: Run, hooks: EngineHooks) -> ExecutionResult:
    """Return the answer to an operation that failed as a whole."""
    failed = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
    return ExecutionResult(data=None, errors=public_errors([failed], run, hooks))


def public_errors(errors: list[GraphQLError], run: Run, hooks: EngineHooks) -> list[GraphQLError]:
    """Return the errors in public form."""
    context = run.context
    return [hooks.public_error(error, context) for error in errors]
