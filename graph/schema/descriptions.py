"""Sets the description of every part of the schema: the one next to its code, or else the one of description_texts."""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema, GraphQLUnionType, is_specified_scalar_type

from graph.schema.description_texts import ANYWHERE, WORDS


def describe(schema: GraphQLSchema) -> None:
    """Set the description of every part of the schema without one."""
    for place, part, inherited in parts(schema):
        if part.description is None:
            part.description = next((WORDS[name] for name in (place, *inherited) if name in WORDS), None)
        if part.description is None:
            part.description = next((ANYWHERE[name] for name in _everywhere(place) if name in ANYWHERE), None)


def parts(schema: GraphQLSchema) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Return the schema, every type, field, argument and enum value: its place, the part itself, and the places that it
    inherits from."""
    yield "schema", schema, ()
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(type_):
            continue
        yield name, type_, ()
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{name}.{value_name}", value, ()) for value_name, value in type_.values.items())
            continue
        if isinstance(type_, GraphQLUnionType):
            continue
        interfaces = [interface.name for interface in getattr(type_, "interfaces", ())]
        for field_name, field in getattr(type_, "fields", {}).items():
            place = f"{name}.{field_name}"
            yield place, field, tuple(f"{interface}.{field_name}" for interface in interfaces)
            for argument_name, argument in getattr(field, "args", {}).items():
                yield f"{place}({argument_name}:)", argument, ()


def _everywhere(place: str) -> Iterator[str]:
    type_name, dot, member = place.partition(".")
    yield from (f"{ending}{dot}{member}" for ending in ("Connection", "Edge") if type_name.endswith(ending))
    if place.endswith(")"):
        yield place[place.index("(") :]
