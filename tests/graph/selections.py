"""Documents drawn from the schema for property tests: queries that are valid, with pages, variables and fragments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)
from hypothesis import strategies as st

MAX_DEPTH = 5
MAX_FIELDS = 3
SIZES = st.none() | st.integers(min_value=0, max_value=6)


@dataclass(slots=True)
class _Drawn:
    """What a document has got so far."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    schema: GraphQLSchema
    ids: list[str]
    names: int = 0
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"


@st.composite
def selections(
    draw: Callable[[st.SearchStrategy[Any]], Any], schema: GraphQLSchema, ids: list[str]
) -> tuple[str, dict[str, Any]]:
    """Generate a query with its variables; `ids` are the values of its arguments of that type."""
    drawn = _Drawn(draw, schema, ids)
    root = schema.query_type
    assert root is not None
    body = _selection_set(drawn, root, MAX_DEPTH)
    declared = ", ".join(f"${name}: {'Int' if name[0] == 'n' else '[ID!]!'}" for name in drawn.variables)
    return f"query {f'({declared})' if declared else ''} {body} {' '.join(drawn.fragments)}", drawn.variables


def _selection_set(drawn: _Drawn, on: GraphQLNamedType, depth: int) -> str:
    assert isinstance(on, GraphQLObjectType | GraphQLInterfaceType)
    usable = [name for name, one in on.fields.items() if depth > 1 or is_leaf_type(get_named_type(one.type))]
    names = drawn.draw(st.lists(st.sampled_from(usable), max_size=MAX_FIELDS)) if usable else []
    parts = ["__typename", *(_field(drawn, name, on.fields[name], depth) for name in names)]
    body = "{ " + " ".join(parts) + " }"
    match drawn.draw(st.integers(min_value=0, max_value=9)):
        case 0:
            return f"{{ ... on {on.name} {body} }}"
        case 1:
            fragment = drawn.name("F")
            drawn.fragments.append(f"fragment {fragment} on {on.name} {body}")
            return f"{{ ...{fragment} }}"
    return body


def _field(drawn: _Drawn, name: str, chosen: GraphQLField, depth: int) -> str:
    arguments = [
        f"{argument}: {value}"
        for argument, one in chosen.args.items()
        if (value := _argument(drawn, argument, required=isinstance(one.type, GraphQLNonNull))) is not None
    ]
    named = get_named_type(chosen.type)
    inner = "" if is_leaf_type(named) else _inner(drawn, named, depth)
    return f"{drawn.name('a')}: {name}{'(' + ', '.join(arguments) + ')' if arguments else ''} {inner}"


def _inner(drawn: _Drawn, named: GraphQLNamedType, depth: int) -> str:
    if named.name != "Node":
        return _selection_set(drawn, named, depth - 1)
    order = drawn.schema.type_map["Order"]
    return f"{{ id ... on Order {_selection_set(drawn, order, depth - 1)} }}"


def _argument(drawn: _Drawn, name: str, *, required: bool) -> str | None:
    if name in {"first", "last"} and drawn.draw(st.booleans()):
        return _given(drawn, drawn.draw(SIZES), "n")
    if name == "ids":
        return _given(drawn, drawn.draw(st.lists(st.sampled_from(drawn.ids), max_size=8)), "ids")
    if not required:
        return None
    return {"isin": '"US0378331005"', "clientOrderId": '"order-1"'}.get(
        name
    ) or f'"{drawn.draw(st.sampled_from(drawn.ids))}"'


def _given(drawn: _Drawn, value: int | list[str] | None, prefix: str) -> str:
    if drawn.draw(st.booleans()):
        name = drawn.name(prefix)
        drawn.variables[name] = value
        return f"${name}"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return "null" if value is None else str(value)
