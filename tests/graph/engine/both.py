"""One request in two equal worlds, answered by Strawberry alone and with compiled operations."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from graph.context import Context
from graph.engine.events import RenderedResults
from graph.http.responses import GRAPHQL_JSON, result_response
from graph.schema.build import Schema
from tests.graph.engine.requests import COMPILING, CORE, DOCUMENTS, Request
from tests.graph.engine.scenarios import Scenario, world_of
from tests.support.api_world import World

_ERROR_ID = re.compile(rb'(under the id |"errorId":")[0-9a-f]{16}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All observable results of a request."""

    status: int
    body: bytes
    logged: list[tuple[str, Any]]
    measured: dict[Any, int]
    orders: list[Any]
    batches: list[frozenset[str]]

    @property
    def has_run(self) -> bool:
        """Whether anything ran: a request that is refused is Strawberry's."""
        return self.status == 200


async def outcome(schema: Schema, request: Request, scenario: Scenario) -> Outcome:
    """Return the request's outcome."""
    world, context = await world_of(scenario)
    result = await schema.execute(request.document, variable_values=request.variables, context_value=context)
    response = result_response(result, GRAPHQL_JSON)
    return Outcome(
        status=response.status_code,
        body=without_error_ids(bytes(response.body)),
        logged=logged(world),
        measured={metric: len(values) for metric, values in world.telemetry.measured.items()},
        orders=[row.snapshot() for row in world.orders.rows.values()],
        batches=world.catalog.batches,
    )


async def payloads(schema: Schema, request: Request, context: Context) -> AsyncIterator[bytes]:
    """Return the payloads of a subscription's messages, as the websocket's handler creates them."""
    results = await schema.stream(request.document, variable_values=request.variables, context_value=context)
    async with aclosing(results):
        async for result in results:
            assert isinstance(result, ExecutionResult)
            errors = [error.formatted for error in result.errors or ()]
            if isinstance(result, RenderedResults):
                for event in result.events:
                    yield event.payload
            elif isinstance(result, PreExecutionError):
                yield orjson.dumps(errors)
            else:
                yield orjson.dumps({"data": result.data, **({"errors": errors} if errors else {})})


async def is_covered(request: Request) -> bool:
    """Whether it is run compiled."""
    operation = COMPILING.compiled_operation(DOCUMENTS.read(request.document, CORE), None)
    _, context = await world_of(Scenario())
    return operation is not None and operation.begin(request.variables, context) is not None


def logged(world: World) -> list[tuple[str, Any]]:
    """Return the logged events."""
    return [(event, fields.get("path")) for event, fields in world.telemetry.events]


def without_error_ids(body: bytes) -> bytes:
    """Return the body without the parts that are generated for each error."""
    return _ERROR_ID.sub(rb"\1", body)
