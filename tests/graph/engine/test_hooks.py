"""The compiler with a schema, a context and documents of another application: hooks are all that it needs."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import strawberry
from graphql import DocumentNode, GraphQLError, parse

from graph.engine.hooks import EngineHooks
from graph.engine.operation import CompiledOperation
from graph.engine.run import Context
from graph.engine.schema import CompilingSchema

events: list[str] = []
"""What the hooks and the resolvers did, in order."""


@strawberry.type
class Query:
    @strawberry.field
    def name(self, info: strawberry.Info) -> str | None:
        events.append("resolver")
        if info.context["fails"]:
            raise RuntimeError("secret")
        return str(info.context["name"])


@strawberry.type
class Mutation:
    @strawberry.mutation
    def rename(self) -> str:
        return "done"


@dataclass(frozen=True, slots=True)
class Text:
    node: DocumentNode
    compiled: dict[str | None, CompiledOperation | None] = field(default_factory=dict)


OBJECTS = 7


def find_document(
    query: str, _name: str | None, _variables: Mapping[str, Any] | None, context: Context
) -> tuple[Text, int] | None:
    return (Text(parse(query)), OBJECTS) if context["compiles"] else None


@contextmanager
def deadline(_context: Context, kind: str) -> Iterator[None]:
    events.append(f"{kind} begins")
    yield
    events.append(f"{kind} ends")


@asynccontextmanager
async def query_slots(_context: Context, objects: int) -> AsyncIterator[None]:
    events.append(f"slots held for {objects} objects")
    yield
    events.append("slots free")


def public_error(error: GraphQLError, context: Context) -> GraphQLError:
    return GraphQLError(f"masked for {context['name']}", path=error.path)


@pytest.fixture
def schema() -> CompilingSchema:
    events.clear()
    schema = CompilingSchema(Query, Mutation)
    schema.compile_operations(
        EngineHooks(find_document=find_document, deadline=deadline, query_slots=query_slots, public_error=public_error)
    )
    return schema


def context(*, compiles: bool = True, fails: bool = False) -> dict[str, object]:
    return {"name": "Ada", "compiles": compiles, "fails": fails}


async def test_a_query_runs_in_a_slot_and_under_the_deadline(schema: CompilingSchema) -> None:
    result = await schema.execute("{ name }", context_value=context())

    assert result.data == {"name": "Ada"}
    assert events == ["query begins", "slots held for 7 objects", "resolver", "slots free", "query ends"]


async def test_a_mutation_takes_no_slot(schema: CompilingSchema) -> None:
    result = await schema.execute("mutation { rename }", context_value=context())

    assert result.data == {"rename": "done"}
    assert events == ["mutation begins", "mutation ends"]


async def test_an_error_is_the_one_that_the_application_shows(schema: CompilingSchema) -> None:
    result = await schema.execute("{ name }", context_value=context(fails=True))

    assert result.data == {"name": None}
    assert [error.message for error in result.errors or ()] == ["masked for Ada"]


async def test_a_document_that_the_application_does_not_find_is_answered_by_strawberry(schema: CompilingSchema) -> None:
    result = await schema.execute("{ name }", context_value=context(compiles=False))

    assert result.data == {"name": "Ada"}
    assert events == ["resolver"]
