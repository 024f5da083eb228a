"""Generator of valid documents over the real schema, with variables that mostly fit: everything that GraphQL's
syntax allows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

import orjson
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import reject
from hypothesis import strategies as st
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graph.documents.cache import DocumentCache, DocumentRefusedError
from graph.schema import cursors
from graph.schema.build import build_schema
from graph.settings import GraphSettings
from tests.support.api_world import FIRST_ID

SETTINGS = GraphSettings(max_depth=30, max_aliases=50, max_repeats=500, max_directives=500)
"""Wider limits than the API's: what is beyond them is not run at all."""
PLAIN = build_schema(replace(SETTINGS, compiled_operations=False))
COMPILING = build_schema(SETTINGS)
CORE = PLAIN._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
DOCUMENTS = DocumentCache(SETTINGS)
FLAGS = ("isWanted", "isUnwanted")
DEPTH = 3

IDS = [f"{kind}_{FIRST_ID + number:032x}" for kind in ("ord", "exe") for number in range(1, 9)]
TEXTS: dict[str, Sequence[Any]] = {
    "ID": [*IDS, "ins_US0378331005", "ins_US5949181045", "alice", "ord_nonsense", ""],
    "ISIN": ["US0378331005", "DE0007164600", "US5949181045", "US0378331004", ""],
    "Decimal": ["10", "12.50", "0", "-1", "1e3", "NaN", "0.05"],
    "DateTime": ["2026-11-20T12:00:00.123456Z", "2026-11-20T12:00:00+01:00", "2030-01-01T00:00:00Z"],
    "String": ["c-0", "c-1", "new", "A", "nothing like it", "", "\N{SNOWMAN}\n\"'", "\x00"],
    "Int": [0, 1, 2, 3, 50, 100, 101, -1],
    "Boolean": [True, False],
}
CURSORS = [
    cursors.write_instrument_cursor("DE0007164600"),
    cursors.write_execution_cursor(UUID(int=FIRST_ID + 3)),
    cursors.write_history_cursor(1),
    cursors.write_stream_cursor(2),
    "nonsense",
]
MISFITS: Sequence[Any] = (None, 1.5, 2**40, "?", True, [], {}, ["US0378331005", None], {"extra": 1})
"""What a careless client sends for a variable."""

Json: TypeAlias = Any
Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType
Chosen = TypeVar("Chosen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends."""

    document: str
    variables: dict[str, Any]
    has_one_of: bool = False

    @property
    def may_be_compiled(self) -> bool:
        """Return whether it contains nothing that is executed by Strawberry: null for @skip or @include, which is
        an error, or an input of which exactly one field must be given.
        """
        return not self.has_one_of and all(self.variables.get(flag, True) is not None for flag in FLAGS)


@dataclass(slots=True)
class Author:
    """Writes one document. A field without an alias has the same arguments everywhere, so that all merge."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    declarations: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    unaliased: dict[str, str] = field(default_factory=dict)
    aliases: int = 0
    has_one_of: bool = False

    def chance(self, percent: int) -> bool:
        return cast("int", self.draw(st.integers(0, 99))) < percent

    def choose(self, options: Sequence[Chosen]) -> Chosen:
        return cast("Chosen", self.draw(st.sampled_from(options)))

    def document(self, kind: str, root: GraphQLObjectType) -> str:
        """Return one operation, followed by its fragments."""
        if kind == "subscription":
            selections = "{ " + self._field(root, self.choose(list(root.fields)), DEPTH) + " }"
        else:
            selections = self.selections(root, DEPTH)
        declared = ", ".join(f"${name}: {text}" for name, text in self.declarations.items())
        return " ".join([f"{kind} Asked" + (f"({declared})" if declared else ""), selections, *self.fragments])

    def selections(self, type_: Composite, depth: int) -> str:
        """Between one and four selections."""
        written = [self._selection(type_, depth) for _ in range(self.draw(st.integers(1, 4)))]
        return "{ " + " ".join(written) + " }"

    def _selection(self, type_: Composite, depth: int) -> str:
        fields = self._fields(type_, depth)
        if depth > 0 and (not fields or self.chance(25)):
            return self._fragment(type_, depth)
        if not fields or self.chance(10):
            return f"{self.choose(('', 'kind_of_it: '))}__typename{self._directive()}"
        return self._field(type_, self.choose(fields), depth)

    def _fields(self, type_: Composite, depth: int) -> list[str]:
        if isinstance(type_, GraphQLUnionType):
            return []
        return [name for name, one in type_.fields.items() if depth > 0 or is_leaf_type(get_named_type(one.type))]

    def _fragment(self, type_: Composite, depth: int) -> str:
        condition = self.choose(_conditions(type_))
        # A union of orders and errors is only useful with selections in its branches.
        selections = self.selections(condition, depth - (0 if condition is not type_ else 1))
        directive = self._directive()
        if self.chance(50):
            return f"... {f'on {condition.name}' if condition is not type_ else ''}{directive} {selections}"
        name = f"F{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {condition.name} {selections}")
        return f"...{name}{directive} " * cast("int", self.draw(st.integers(1, 2)))

    def _field(self, type_: Composite, name: str, depth: int) -> str:
        definition = cast("GraphQLObjectType", type_).fields[name]
        written = self._call(name, definition)
        inner = get_named_type(definition.type)
        if is_leaf_type(inner):
            return written + self._directive()
        return f"{written}{self._directive()} {self.selections(cast('Composite', inner), depth - 1)}"

    def _call(self, name: str, definition: GraphQLField) -> str:
        if self.aliases < 8 and self.chance(20):
            self.aliases += 1
            return f"a{self.aliases}: {name}{self._arguments(definition)}"
        key = name + str(sorted(definition.args))
        if key not in self.unaliased:
            self.unaliased[key] = self._arguments(definition)
        return name + self.unaliased[key]

    def _arguments(self, definition: GraphQLField) -> str:
        given = [
            f"{name}: {self._value(name, argument)}"
            for name, argument in definition.args.items()
            if is_required_argument(argument) or self.chance(40)
        ]
        return f"({', '.join(given)})" if given else ""

    def _value(self, name: str, argument: GraphQLArgument) -> str:
        if self.chance(50):
            return self._variable(name, argument.type)
        return _literal(self._input(name, argument.type, is_literal=True), argument.type)

    def _variable(self, name: str, type_: GraphQLInputType) -> str:
        variable = f"v{len(self.declarations)}"
        default = ""
        if not isinstance(type_, GraphQLNonNull) and self.chance(30):
            default = f" = {_literal(self._input(name, type_, is_literal=True), type_)}"
        self.declarations[variable] = f"{type_}{default}"
        if isinstance(type_, GraphQLNonNull) or self.chance(70):
            self.variables[variable] = self._input(name, type_, is_literal=False)
        if self.chance(4):
            self.variables[variable] = self.choose(MISFITS)
        elif self.chance(2):
            self.variables.pop(variable, None)
        return f"${variable}"

    def _directive(self) -> str:
        if not self.chance(12):
            return ""
        condition = self.choose(("true", "false", *(f"${flag}" for flag in FLAGS)))
        flag = condition.removeprefix("$")
        if flag in FLAGS and flag not in self.declarations:
            self.declarations[flag] = self.choose(("Boolean!", "Boolean! = true", "Boolean = false"))
            if self.declarations[flag] == "Boolean!" or self.chance(70):
                self.variables[flag] = self.choose((True, False))
            if self.chance(4):
                self.variables[flag] = None
        return f" @{self.choose(('include', 'skip'))}(if: {condition})"

    def _input(self, name: str, type_: GraphQLInputType, *, is_literal: bool) -> Json:
        if isinstance(type_, GraphQLNonNull):
            is_careless = not is_literal and self.chance(2)
            return None if is_careless else self._not_null(name, type_.of_type, is_literal=is_literal)
        return None if self.chance(5) else self._not_null(name, type_, is_literal=is_literal)

    def _not_null(self, name: str, type_: GraphQLInputType, *, is_literal: bool) -> Json:
        if isinstance(type_, GraphQLList):
            count = self.draw(st.integers(0, 3))
            items = [self._input(name, type_.of_type, is_literal=is_literal) for _ in range(count)]
            return items[0] if len(items) == 1 and self.chance(50) else items
        named = get_named_type(type_)
        if isinstance(named, GraphQLInputObjectType):
            self.has_one_of |= (is_one_of := _is_one_of(named))
            if is_one_of and (is_literal or not self.chance(5)):
                key = self.choose(list(named.fields))
                return {key: self._not_null(key, named.fields[key].type, is_literal=is_literal)}
            return {
                key: self._input(key, one.type, is_literal=is_literal)
                for key, one in named.fields.items()
                if is_required_input_field(one) or self.chance(60)
            }
        if isinstance(named, GraphQLEnumType):
            return self.choose(list(named.values))
        return self.choose(CURSORS if name in {"after", "before"} else TEXTS[named.name])


def _is_one_of(type_: GraphQLInputObjectType) -> bool:
    """Return whether exactly one of its fields must be given: Strawberry has a separate rule for that."""
    return bool(type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of)


def _conditions(type_: Composite) -> list[Composite]:
    """Return the types on which a fragment can be used there."""
    if isinstance(type_, GraphQLObjectType):
        return [type_, *type_.interfaces]
    return [type_, *CORE.get_possible_types(type_)]


def _literal(value: Json, type_: GraphQLInputType) -> str:
    """Return the value as a literal of a document."""
    if isinstance(type_, GraphQLNonNull):
        return _literal(value, type_.of_type)
    if isinstance(type_, GraphQLList):
        if isinstance(value, list):
            return "[" + ", ".join(_literal(item, type_.of_type) for item in value) + "]"
        return _literal(value, type_.of_type)
    if isinstance(type_, GraphQLInputObjectType) and isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(one, type_.fields[key].type)}" for key, one in value.items()) + "}"
    if isinstance(type_, GraphQLEnumType) and value is not None:
        return cast("str", value)
    return orjson.dumps(value).decode()


@st.composite
def requests(draw: st.DrawFn, kind: str) -> Request:
    """Generate a query, mutation or subscription. It is parsed and validated here, once for both schemas: see
    `Document`.
    """
    author = Author(draw)
    root = {"query": CORE.query_type, "mutation": CORE.mutation_type, "subscription": CORE.subscription_type}[kind]
    assert root is not None
    text = author.document(kind, root)
    try:
        document = DOCUMENTS.read(text, CORE)
    except DocumentRefusedError:
        reject()
    return Request(document=document, variables=author.variables, has_one_of=author.has_one_of)
