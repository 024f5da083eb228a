"""Arguments: coerced by graphql-core's own functions, then converted for the resolver.

The second half is Strawberry's `convert_arguments` with the types resolved once: there it costs more (49 of 69 µs) than
the rest of a placeOrder.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    Node,
    Undefined,
    VariableNode,
    Visitor,
    is_non_null_type,
    is_required_argument,
    visit,
)
from graphql.execution.values import VariableValues, get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry import UNSET, Schema
from strawberry.relay import GlobalID
from strawberry.schema.compat import is_scalar
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryOptional,
    StrawberryType,
    WithStrawberryObjectDefinition,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from graph.engine.run import Value

Convert = Callable[[Value], Value]


class NotCompilableError(Exception):
    """Part of a document that the compiler does not compile: Strawberry runs it."""


class Arguments:
    """The arguments of one field of one document."""

    def __init__(self, definition: GraphQLField, node: FieldNode, converters: "Converters") -> None:
        self._definition = definition
        self._node = node
        self._converters = converters
        self._constant = None if any(variables_of(node.arguments or ())) else self._read_constant()
        self._plain = None if self._constant is not None else _Plain.of(definition, node)

    def read(self, variables: VariableValues) -> dict[str, Value]:
        """Return the values by name, as graphql-core coerces them; raise its GraphQLError."""
        if self._constant is not None:
            return self._constant
        values = None if self._plain is None else self._plain.read(variables)
        return get_argument_values(self._definition, self._node, variables) if values is None else values

    def convert(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values by the resolver's parameters. Lists and inputs are new ones: a resolver may change them."""
        return {parameter: convert(values[name]) for name, parameter, convert in self._converters if name in values}

    def _read_constant(self) -> dict[str, Value] | None:
        try:
            return get_argument_values(self._definition, self._node)
        except GraphQLError:
            return None  # It is raised where graphql-core raises it: when the field is run.


class _Plain:
    """Arguments that are each a variable, or left out: the usual way to call a field."""

    def __init__(self, defaults: dict[str, Value], given: Sequence[tuple[str, str, bool]]) -> None:
        self._defaults = defaults
        self._given = given

    @classmethod
    def of(cls, definition: GraphQLField, node: FieldNode) -> "_Plain | None":
        """None when an argument is given in another way, or is missing."""
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        defaults, given = {}, []
        for name, argument in definition.args.items():
            out_name, value = argument.out_name or name, nodes.get(name)
            if isinstance(value, VariableNode):
                given.append((out_name, value.name.value, not is_non_null_type(argument.type)))
            elif value is not None or is_required_argument(argument):
                return None
            elif (default := coerce_default_value(argument)) is not Undefined:
                defaults[out_name] = default
        return cls(defaults, given)

    def read(self, variables: VariableValues) -> dict[str, Value] | None:
        """Return the values by name; None where a variable has no value, or an invalid null."""
        values = dict(self._defaults)
        for name, variable, is_nullable in self._given:
            value = variables.coerced.get(variable, Undefined)
            if value is Undefined or (value is None and not is_nullable):
                return None
            values[name] = value
        return values


Converters = tuple[tuple[str, str, Convert], ...]
"""Name in the schema, name of the resolver's parameter, and how the one becomes the other."""


def converters_for(field: StrawberryField, schema: Schema) -> Converters:
    """How Strawberry converts that field's arguments; raises NotCompilableError."""
    name_of = schema.config.name_converter.from_argument
    return tuple(
        (name_of(argument), argument.python_name, _converter(argument.type, schema)) for argument in field.arguments
    )


def variables_of(nodes: Iterable[Node]) -> Iterator[str]:
    """Return the names of the variables used in those nodes."""
    for node in nodes:
        found: list[str] = []
        visit(node, _VariableFinder(found))
        yield from found


class _VariableFinder(Visitor):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self._found = found

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self._found.append(node.name.value)


def _converter(type_: StrawberryType | type, schema: Schema) -> Convert:
    if isinstance(type_, StrawberryMaybe):
        raise NotCompilableError("an argument that may be left out")
    if isinstance(type_, StrawberryOptional):
        return _converter(type_.of_type, schema)
    if isinstance(type_, LazyType):
        return _converter(type_.resolve_type(), schema)
    if isinstance(type_, StrawberryList):
        return _list_of(_converter(type_.of_type, schema))
    if type_ is GlobalID:
        raise NotCompilableError("Strawberry's own global ids")
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
        return _as_it_is
    if is_scalar(type_, schema.schema_converter.scalar_registry):
        return _as_it_is
    if has_object_definition(type_):
        return _input(type_, schema)
    raise NotCompilableError(f"an argument of the type {type_}")


def _as_it_is(value: Value) -> Value:
    return value


def _list_of(convert: Convert) -> Convert:
    def converted(values: Value) -> Value:
        if values is None or values is UNSET:
            return values
        return list(values) if convert is _as_it_is else [convert(value) for value in values]

    return converted


def _input(type_: type[WithStrawberryObjectDefinition], schema: Schema) -> Convert:
    definition = type_.__strawberry_definition__
    if definition.from_input is not None:
        raise NotCompilableError("an input that builds itself")
    name_of = schema.config.name_converter.from_field
    fields = [
        (name_of(field), field.python_name, _converter(field.resolve_type(type_definition=definition), schema))
        for field in definition.fields
    ]
    without_default = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }

    def converted(value: Value) -> Value:
        if value is None or value is UNSET:
            return value
        given = {
            parameter: value[name] if convert is _as_it_is else convert(value[name])
            for name, parameter, convert in fields
            if name in value
        }
        return type_(**given) if len(given) == len(fields) else type_(**{**without_default, **given})

    return converted
