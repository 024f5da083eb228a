"""One run of a compiled operation: its variables, its context, and the errors that its fields meet."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    located_error,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path as CorePath
from graphql.pyutils import gather_with_cancel
from graphql.type import GraphQLResolveInfoHelpers
from strawberry import Info
from strawberry.execution import optimized_is_awaitable
from strawberry.types.field import StrawberryField

Context: TypeAlias = Any
"""The application's context of one request: the compiler only passes it on."""

Value: TypeAlias = Any
"""What a resolver or an attribute gives. The schema says what it may be, Python's types do not."""

Serialized: TypeAlias = Any
"""A value of the answer, or a coroutine that gives it."""

Path = tuple[Optional["Path"], str | int]
"""Where a value stands in the answer, innermost key first: a pair costs a tenth of graphql-core's own, and is turned
into one only where it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPosition:
    """The position of a value in the document, and whether it may be null."""

    nodes: list[FieldNode]
    is_nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSource:
    """The field's info for a resolver."""

    name: str
    nodes: list[FieldNode]
    return_type: GraphQLOutputType
    parent_type: GraphQLObjectType


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSource:
    """The operation's info for a resolver."""

    kind: str
    schema: GraphQLSchema
    node: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]


class ResolveInfo(GraphQLResolveInfo[Context]):
    """What graphql-core passes to a resolver, with what Strawberry adds to it. Its path has no names of types."""

    operation_extensions: dict[str, Any] | None


class Run:
    """The state of one run. `objects` are those that its answer can hold, at most; `errors` are in the order in which
    they were met, as graphql-core would have them."""

    __slots__ = ("_background", "_nulled", "context", "errors", "extensions", "objects", "source", "variables")

    def __init__(
        self,
        source: OperationSource,
        variables: VariableValues,
        context: Context,
        extensions: dict[str, Any] | None = None,
        *,
        objects: int = 0,
    ) -> None:
        self.source = source
        self.variables = variables
        self.context = context
        self.extensions = extensions
        self.objects = objects
        self.errors: list[GraphQLError] = []
        self._nulled: set[Path | None] = set()
        self._background: set[asyncio.Future[Any]] = set()

    def next_event(self) -> "Run":
        """Return the same for another event of a subscription."""
        return Run(self.source, self.variables, self.context, self.extensions)

    def fail(self, error: Exception, position: FieldPosition, path: Path) -> Serialized:
        """Record the error of a value and return null for it; raise it, located, where null is not allowed."""
        located = located_error(error, position.nodes, _keys(path))
        if not position.is_nullable:
            raise located
        self.note(located, path)
        return None

    def note(self, error: GraphQLError, path: Path | None) -> None:
        """Record an error, unless it is about a value that became null before; None is the whole answer."""
        above = path
        while above is not None:
            if above in self._nulled:
                return
            above = above[0]
        self._nulled.add(path)
        self.errors.append(error)

    def settle(self, pending: Sequence[Awaitable[Any]]) -> None:
        """Finish started work in the background: its result is no longer needed."""
        future = asyncio.gather(*pending, return_exceptions=True)
        self._background.add(future)
        future.add_done_callback(self._background.discard)

    def resolve_info(self, field: FieldSource, path: Path) -> ResolveInfo:
        """Return the info for a resolver."""
        info = ResolveInfo(
            field.name,
            field.nodes,
            field.return_type,
            field.parent_type,
            _core_path(path),
            self.source.schema,
            self.source.fragments,
            None,
            self.source.node,
            self.variables.coerced,  # type: ignore[arg-type]  # only the values, as in Strawberry
            self.context,
            optimized_is_awaitable,  # type: ignore[arg-type]  # a predicate, though it is not declared a guard
            None,
            GraphQLResolveInfoHelpers(gather=_gather, track=self.settle),
        )
        info.operation_extensions = self.extensions
        return info


class RunInfo(Info[Context, None]):
    """Strawberry's info for a resolver. Most use only the context: the rest is created on demand."""

    def __init__(self, run: Run, field: StrawberryField, source: FieldSource, path: Path) -> None:
        self._run = run
        self._field = field
        self._source = source
        self._path = path

    @property
    def context(self) -> Context:
        """The request's context."""
        return self._run.context

    @cached_property
    def _raw_info(self) -> ResolveInfo:  # type: ignore[override]  # it is never set
        return self._run.resolve_info(self._source, self._path)


def _gather(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)


def _keys(path: Path) -> list[str | int]:
    keys: list[str | int] = []
    above: Path | None = path
    while above is not None:
        keys.append(above[1])
        above = above[0]
    keys.reverse()
    return keys


def _core_path(path: Path) -> CorePath:
    above, key = path
    return CorePath(None if above is None else _core_path(above), key, None)
