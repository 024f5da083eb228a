"""Completion of values according to the schema: null, lists, objects, and objects of abstract types.

Each `complete` returns the value for the answer, or a coroutine of it, and raises graphql-core's errors. A value is
never awaitable itself: only a resolver that is a coroutine function awaits.
"""

from collections.abc import Awaitable, Iterable, Mapping
from types import CoroutineType
from typing import Protocol

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, Undefined
from graphql.pyutils import gather_with_cancel, inspect, is_iterable

from graph.engine.run import FieldPosition, FieldSource, Path, Run, Serialized, Value


class Completion(Protocol):
    """How the value of a field, or of one item of a list, becomes part of the answer."""

    def complete(self, value: Value, path: Path, run: Run) -> Serialized:
        """Return the value for the answer, or a coroutine of it."""


class Executable(Protocol):
    """The selected fields of one object type."""

    def execute(self, source: object, path: Path | None, run: Run) -> Serialized:
        """Return the object for the answer, or a coroutine of it."""


class NotNull(Completion):
    """Refuses null."""

    def __init__(self, inner: Completion, complaint: str) -> None:
        self._inner = inner
        self._complaint = complaint

    def complete(self, value: Value, path: Path, run: Run) -> Serialized:
        """As the inner one; raises TypeError for null."""
        completed = self._inner.complete(value, path, run)
        if completed is None:
            raise TypeError(self._complaint)
        return completed


class ObjectValue(Completion):
    """An object of one type, with its selected fields."""

    def __init__(self, type_: GraphQLObjectType, selection: Executable, field: FieldSource) -> None:
        self.type = type_
        self.python_type = type_.extensions["strawberry-definition"].origin
        self._selection = selection
        self._field = field

    def complete(self, value: Value, path: Path, run: Run) -> Serialized:
        """Return the object's fields; raise GraphQLError for an object of another type."""
        if type(value) is not self.python_type:
            if _is_null(value):
                return None
            self._check_type(value, path, run)
        return self._selection.execute(value, path, run)

    def _check_type(self, value: Value, path: Path, run: Run) -> None:
        is_type_of = self.type.is_type_of
        if is_type_of is not None and not is_type_of(value, run.resolve_info(self._field, path)):
            message = f"Expected value of type '{self.type}' but got: {inspect(value)}."
            raise GraphQLError(message, self._field.nodes)


class AbstractValue(Completion):
    """An object of one of several types, selected by its class or by Strawberry's own rule."""

    def __init__(self, type_: GraphQLAbstractType, objects: Mapping[str, ObjectValue], field: FieldSource) -> None:
        self._type = type_
        self._objects = objects
        self._by_class = {one.python_type: one for one in objects.values() if _is_plain(one.type)}
        self._field = field

    def complete(self, value: Value, path: Path, run: Run) -> Serialized:
        """Return the fields selected for the object's type; raise GraphQLError for any other type."""
        known = self._by_class.get(type(value))
        if known is None:
            if _is_null(value):
                return None
            known = self._resolve_type(value, path, run)
        return known.complete(value, path, run)

    def _resolve_type(self, value: Value, path: Path, run: Run) -> ObjectValue:
        assert self._type.resolve_type is not None  # noqa: S101 - Strawberry sets one for every abstract type
        name = self._type.resolve_type(value, run.resolve_info(self._field, path), self._type)
        if isinstance(name, str) and name in self._objects:
            return self._objects[name]
        raise GraphQLError(self._complaint(name), self._field.nodes)

    def _complaint(self, name: object) -> str:
        if name is not None:
            return f"Runtime Object type '{name}' is not a possible type for '{self._type}'."
        return (
            f"Abstract type '{self._type}' must resolve to an Object type at runtime for field"
            f" '{self._field.parent_type}.{self._field.name}'. Either the '{self._type}' type should provide"
            " a 'resolve_type' function or each possible type should provide an 'is_type_of' function."
        )


class ListValue(Completion):
    """A list, each item completed by itself."""

    def __init__(self, item: Completion, position: FieldPosition, *, complaint: str) -> None:
        self._item = item
        self._position = position
        self._complaint = complaint

    def complete(self, value: Value, path: Path, run: Run) -> Serialized:
        """Return the items; raise GraphQLError for a value that is not a list, and the error of an item that must
        not be null.
        """
        if type(value) is not list:
            if _is_null(value):
                return None
            if not is_iterable(value):
                raise GraphQLError(self._complaint)
        items: list[Serialized] = []
        pending: list[int] = []
        try:
            self._complete_items(value, path, run, items, pending)
        except Exception:
            if pending:
                run.settle([items[index] for index in pending])
            raise
        return _all_items(items, pending) if pending else items

    def _complete_items(
        self, values: Iterable[Value], path: Path, run: Run, items: list[Serialized], pending: list[int]
    ) -> None:
        complete = self._item.complete
        for index, value in enumerate(values):
            here = (path, index)
            try:
                item = complete(value, here, run)
            except Exception as error:  # noqa: BLE001 - any error is this item's
                item = run.fail(error, self._position, here)
            if type(item) is CoroutineType:
                item = self._awaited(item, here, run)
                pending.append(index)
            items.append(item)

    async def _awaited(self, item: Awaitable[Serialized], path: Path, run: Run) -> Serialized:
        try:
            return await item
        except Exception as error:  # noqa: BLE001 - as above
            return run.fail(error, self._position, path)


async def _all_items(items: list[Serialized], pending: list[int]) -> list[Serialized]:
    if len(pending) == 1:
        items[pending[0]] = await items[pending[0]]
        return items
    awaited = await gather_with_cancel(*(items[index] for index in pending))
    for index, item in zip(pending, awaited, strict=True):
        items[index] = item
    return items


def _is_null(value: Value) -> bool:
    """Whether it is null; raises a value that is an exception."""
    if isinstance(value, Exception):
        raise value
    return value is None or value is Undefined


def _is_plain(type_: GraphQLObjectType) -> bool:
    """Whether the class of a value shows that it is of this type: it does not for one that was made of a generic."""
    definition = type_.extensions["strawberry-definition"]
    return definition.concrete_of is None and not definition.is_graphql_generic and definition.name == type_.name
