"""The selected fields of an object, merged and in the answer's order, and how each gets its value."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import CoroutineType
from typing import Any, Protocol

from graphql.pyutils import gather_with_cancel
from strawberry.types.field import StrawberryField

from graph.engine.arguments import Arguments
from graph.engine.completion import Completion
from graph.engine.leaves import Leaf
from graph.engine.run import FieldPosition, FieldSource, Path, Run, RunInfo, Serialized, Value


class Field(Protocol):
    """One field of the answer."""

    key: str

    def execute(self, source: Value, path: Path | None, run: Run) -> Serialized:
        """Return the field's value for the answer, or a coroutine of it."""


class LeafField:
    """An attribute that is a leaf. It has no `execute`: the selection writes it in its own loop, without a call."""

    def __init__(self, key: str, attribute: str, leaf: Leaf, position: FieldPosition) -> None:
        self.key = key
        self.attribute = attribute
        self.leaf = leaf
        self.position = position


class TypeName(Field):
    """__typename."""

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self._name = name

    def execute(self, source: Value, path: Path | None, run: Run) -> str:  # noqa: ARG002 - a field's signature
        """Return the name."""
        return self._name


class ReadField(Field):
    """A field whose value is in its source: an attribute that is an object or a list, or an event itself."""

    def __init__(
        self, key: str, read: Callable[[Value], Value], completion: Completion, position: FieldPosition
    ) -> None:
        self.key = key
        self._read = read
        self._completion = completion
        self._position = position

    def execute(self, source: Value, path: Path | None, run: Run) -> Serialized:
        """Return its value, completed."""
        here = (path, self.key)
        try:
            completed = self._completion.complete(self._read(source), here, run)
        except Exception as error:  # noqa: BLE001 - any error is this field's
            return run.fail(error, self._position, here)
        if type(completed) is CoroutineType:
            return _guarded(completed, self._position, here, run)
        return completed


class Resolver:
    """A resolver, called as Strawberry calls it."""

    def __init__(self, field: StrawberryField, arguments: Arguments, source: FieldSource) -> None:
        assert field.base_resolver is not None  # noqa: S101 - only a bug could break it
        self.arguments = arguments
        self.is_async = field.is_async
        self._field = field
        self._source = source
        function = field.base_resolver.wrapped_func
        assert callable(function)  # noqa: S101 - Strawberry calls it too
        self._function: Callable[..., Value] = function
        self._takes_self = field.base_resolver.self_parameter is not None
        info = field.base_resolver.info_parameter
        self._info_name = None if info is None else info.name

    def call(self, source: Value, values: Mapping[str, Value], path: Path, run: Run) -> Value:
        """Return the resolver's result: a coroutine, when it is a coroutine function."""
        given = self.arguments.convert(values)
        if self._info_name is not None:
            given[self._info_name] = RunInfo(run, self._field, self._source, path)
        return self._function(source, **given) if self._takes_self else self._function(**given)


class ResolvedField(Field):
    """A field with a resolver."""

    def __init__(self, key: str, resolver: Resolver, completion: Completion, position: FieldPosition) -> None:
        self.key = key
        self._resolver = resolver
        self._completion = completion
        self._position = position

    def execute(self, source: Value, path: Path | None, run: Run) -> Serialized:
        """Return the resolver's result, completed."""
        here = (path, self.key)
        try:
            values = self._resolver.arguments.read(run.variables)
            if self._resolver.is_async:
                return self._resolved(source, values, here, run)
            completed = self._completion.complete(self._resolver.call(source, values, here, run), here, run)
        except Exception as error:  # noqa: BLE001 - any error is this field's
            return run.fail(error, self._position, here)
        if type(completed) is CoroutineType:
            return _guarded(completed, self._position, here, run)
        return completed

    async def _resolved(self, source: Value, values: Mapping[str, Value], here: Path, run: Run) -> Serialized:
        try:
            value = await self._resolver.call(source, values, here, run)
            completed = self._completion.complete(value, here, run)
            if type(completed) is CoroutineType:
                completed = await completed
        except Exception as error:  # noqa: BLE001 - as above
            return run.fail(error, self._position, here)
        return completed


class Selection:
    """The fields of one object type."""

    def __init__(self, fields: Sequence[Field | LeafField]) -> None:
        self.fields = fields
        self._rows = [_row(field) for field in fields]

    def execute(self, source: Value, path: Path | None, run: Run) -> Serialized:
        """Return the object for the answer, or a coroutine of it when a field has to be awaited.

        Raises the located error of a field that must not be null; started work of the other fields is finished.
        """
        serialized: dict[str, Serialized] = {}
        pending: list[str] = []
        try:
            for key, attribute, plain, write, field in self._rows:
                if attribute is None:
                    serialized[key] = completed = write(source, path, run)
                    if type(completed) is CoroutineType:
                        pending.append(key)
                    continue
                try:
                    value = getattr(source, attribute)
                    serialized[key] = value if type(value) is plain else write(value)
                except Exception as error:  # noqa: BLE001 - any error is this field's
                    serialized[key] = run.fail(error, field.position, (path, key))
        except Exception:
            if pending:
                run.settle([serialized[key] for key in pending])
            raise
        return _all_fields(serialized, pending) if pending else serialized

    async def execute_serially(self, source: Value, run: Run) -> dict[str, Serialized]:
        """Return the same for a mutation's root: each field after the previous one has its value."""
        serialized: dict[str, Serialized] = {}
        for field in self.fields:
            completed = field.execute(source, None, run)  # type: ignore[union-attr]  # a root has no attributes
            serialized[field.key] = await completed if type(completed) is CoroutineType else completed
        return serialized


def _row(field: Field | LeafField) -> tuple[str, str | None, type | None, Callable[..., Serialized], Any]:
    """Return the data of a field for the loop: unpacking it costs less than reading attributes."""
    if isinstance(field, LeafField):
        return field.key, field.attribute, field.leaf.plain, field.leaf.write, field
    return field.key, None, None, field.execute, field


async def _all_fields(serialized: dict[str, Serialized], pending: list[str]) -> dict[str, Serialized]:
    if len(pending) == 1:
        serialized[pending[0]] = await serialized[pending[0]]
        return serialized
    awaited = await gather_with_cancel(*(serialized[key] for key in pending))
    serialized.update(zip(pending, awaited, strict=True))
    return serialized


async def _guarded(completed: Awaitable[Serialized], position: FieldPosition, path: Path, run: Run) -> Serialized:
    try:
        return await completed
    except Exception as error:  # noqa: BLE001 - any error is this field's
        return run.fail(error, position, path)
