"""Leaves on their way out: what the schema's scalars and enums would write, with the usual value found first."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from graphql import GraphQLBoolean, GraphQLEnumType, GraphQLInt, GraphQLLeafType, GraphQLString, Undefined
from graphql.execution import Executor
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT, GraphQLID
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from graph.engine.run import Path, Run, Serialized, Value

Write = Callable[[Value], Serialized]

ExactTypes: TypeAlias = Mapping[Write, type]
"""The class that nearly every value of a scalar has, by the scalar's `serialize`."""


class Leaf(NamedTuple):
    """The serialization of a leaf: a value of exactly the type `plain` is written unchanged, every other through
    `write`.
    """

    plain: type | None
    write: Write

    def complete(self, value: Value, _path: Path, _run: Run) -> Serialized:
        """Return the leaf where it is an item of a list or the result of a resolver."""
        return value if type(value) is self.plain else self.write(value)


def leaf_for(type_: GraphQLLeafType, *, null_complaint: str | None, exact_types: ExactTypes) -> Leaf:
    """Return the leaf of that type. `null_complaint` is the error's text where null is not allowed, None where it is.

    `write` raises graphql-core's errors: the value itself if it is an exception, else the type's error.
    """
    write = _by_the_rules(type_, null_complaint)
    if isinstance(type_, CustomGraphQLEnumType):
        return Leaf(None, _enum(type_, write))
    if type_ is GraphQLInt:
        return Leaf(None, _int(write))
    if type_ is GraphQLBoolean:
        return Leaf(bool, write)
    # For a text these return the same text; for a subclass some would return another text.
    if type_ in {GraphQLString, GraphQLID} or type_.coerce_output_value is str:
        return Leaf(str, write)
    exact = exact_types.get(type_.coerce_output_value)
    return Leaf(None, write if exact is None else _exactly(exact, type_.coerce_output_value, write))


def _by_the_rules(type_: GraphQLLeafType, null_complaint: str | None) -> Write:
    coerce = type_.coerce_output_value

    def write(value: Value) -> Serialized:
        if value is None or value is Undefined:
            if null_complaint is None:
                return None
            raise TypeError(null_complaint)
        if isinstance(value, Exception):
            raise value
        written = coerce(value)
        if written is None or written is Undefined:
            return Executor.complete_leaf_value(type_, value)
        return written

    return write


def _exactly(exact: type, coerce: Write, otherwise: Write) -> Write:
    """Serialize a value of exactly that class without the checks: it is not null, and no error."""

    def write(value: Value) -> Serialized:
        return coerce(value) if type(value) is exact else otherwise(value)

    return write


def _enum(type_: GraphQLEnumType, otherwise: Write) -> Write:
    enum = type_.wrapped_cls  # type: ignore[attr-defined]  # Strawberry's own kind of enum, see leaf_for
    names = {member: type_.coerce_output_value(member) for member in enum}

    def write(value: Value) -> Serialized:
        return names[value] if type(value) is enum else otherwise(value)

    return write


def _int(otherwise: Write) -> Write:
    def write(value: Value) -> Serialized:
        return value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else otherwise(value)

    return write
