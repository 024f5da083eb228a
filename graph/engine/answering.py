"""Running a compiled query or mutation to its answer."""

from types import CoroutineType

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from graph.engine.operation import Root
from graph.engine.run import Run
from graph.errors import public_error
from graph.limits.deadline import Deadline


async def answer(run: Run, root: Root) -> ExecutionResult:
    """The answer under the deadline, with its errors as the client may see them."""
    try:
        with Deadline(run.context.services, kind=run.source.kind):
            if root.is_serial:
                result = await execute(run, root)
            else:
                async with run.context.turn():
                    result = await execute(run, root)
    except Exception as error:  # noqa: BLE001 - no field's error: the deadline, or a mistake of ours
        return failure(error, run)
    if run.errors:
        result.errors = public_errors(run.errors, run)
    return result


async def execute(run: Run, root: Root) -> ExecutionResult:
    """Data and errors as graphql-core would give them."""
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


def failure(error: Exception, run: Run) -> ExecutionResult:
    """What is answered when the whole operation failed."""
    failed = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
    return ExecutionResult(data=None, errors=public_errors([failed], run))


def public_errors(errors: list[GraphQLError], run: Run) -> list[GraphQLError]:
    """The errors as the client may see them; logs the unexpected ones."""
    telemetry = run.context.services.telemetry
    return [public_error(error, telemetry) for error in errors]
