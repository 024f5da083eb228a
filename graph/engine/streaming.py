"""A compiled operation over a transport that can take several results."""

from collections.abc import AsyncGenerator

from graphql import GraphQLError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.utils.aio import aclosing

from graph.engine.answering import answer, failure, public_errors
from graph.engine.events import SharedResults, open_events
from graph.engine.operation import Events, Root
from graph.engine.run import Run
from graph.limits.deadline import Deadline


async def stream(run: Run, plan: Root | Events, shared: SharedResults) -> AsyncGenerator[ExecutionResult]:
    """The one result of a query or mutation, or those of a subscription; only its start is under the deadline."""
    if isinstance(plan, Root):
        yield await answer(run, plan)
        return
    try:
        with Deadline(run.context.services, kind=run.source.kind):
            events = await open_events(run, plan, shared)
    except GraphQLError as refusal:
        yield PreExecutionError(data=None, errors=public_errors([refusal], run))
        return
    except Exception as error:  # noqa: BLE001 - as for an answer: the deadline, or a mistake of ours
        yield failure(error, run)
        return
    async with aclosing(events):
        async for result in events:
            yield result
