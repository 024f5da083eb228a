"""Variables: valid ones are coerced like graphql-core's `get_variable_values`, with the types resolved once. Others
are left to Strawberry, which reports the error.
"""

from collections.abc import Callable, Mapping, Sequence

from graphql import (
    GraphQLError,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    VariableDefinitionNode,
    get_nullable_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.pyutils import is_iterable
from graphql.type import is_required_input_field
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from graph.engine.run import Value

Coerce = Callable[[Value], Value]


class CoercionFailedError(Exception):
    """The value does not fit, or not simply."""


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> None:
        self._readers = _readers(schema, definitions)

    def read(self, given: Mapping[str, Value] | None) -> VariableValues | None:
        """Return the variables' values as graphql-core returns them; None when they do not fit."""
        if self._readers is None:
            return None
        try:
            return _read(self._readers, given or {})
        except CoercionFailedError:
            return None


class _VariableReader:
    """How one variable is read. `default` is Undefined where there is none."""

    def __init__(self, signature: GraphQLVariableSignature, *, has_default: bool) -> None:
        self.name = signature.name
        self.signature = signature
        self.absent = VariableValueSource(signature)
        self.default = coerce_default_value(signature) if has_default else Undefined
        self.is_required = isinstance(signature.type, GraphQLNonNull) and not has_default
        self.coerce = _coercer(signature.type)


def _readers(schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> Sequence[_VariableReader] | None:
    readers = []
    try:
        for definition in definitions:
            signature = get_variable_signature(schema, definition)
            if isinstance(signature, GraphQLError):
                return None
            readers.append(_VariableReader(signature, has_default=definition.default_value is not None))
    except (CoercionFailedError, RecursionError, TypeError):
        return None  # A recursive input, an invalid default: graphql-core handles them.
    return readers


def _read(readers: Sequence[_VariableReader], given: Mapping[str, Value]) -> VariableValues:
    sources: dict[str, VariableValueSource] = {}
    coerced: dict[str, Value] = {}
    for reader in readers:
        name = reader.name
        value = given.get(name, Undefined)
        if value is Undefined:
            if reader.is_required:
                raise CoercionFailedError
            sources[name] = reader.absent
            if reader.default is not Undefined:
                coerced[name] = reader.default
        else:
            sources[name] = VariableValueSource(reader.signature, value)
            coerced[name] = reader.coerce(value)
    return VariableValues(sources, coerced)


def _coercer(type_: GraphQLInputType) -> Coerce:
    """graphql-core's `coerce_input_value` for one type; it raises CoercionFailedError."""
    if isinstance(type_, GraphQLNonNull):
        return _not_null(_not_null_coercer(type_.of_type))
    return _nullable(_not_null_coercer(type_))


def _not_null_coercer(type_: GraphQLInputType) -> Coerce:
    if isinstance(type_, GraphQLList):
        return _list(_coercer(type_.of_type))
    if isinstance(type_, GraphQLInputObjectType):
        return _input_object(type_)
    if isinstance(type_, CustomGraphQLEnumType):
        return _enum(type_)
    assert not isinstance(type_, GraphQLNonNull)  # noqa: S101 - non-null of non-null is no type
    leaf = _leaf(type_)
    return _text(leaf) if type_ in {GraphQLString, GraphQLID} else leaf


def _not_null(coerce: Coerce) -> Coerce:
    def coerced(value: Value) -> Value:
        if value is None:
            raise CoercionFailedError
        return coerce(value)

    return coerced


def _nullable(coerce: Coerce) -> Coerce:
    def coerced(value: Value) -> Value:
        return None if value is None else coerce(value)

    return coerced


def _list(coerce: Coerce) -> Coerce:
    def coerced(value: Value) -> Value:
        return [coerce(item) for item in value] if is_iterable(value) else [coerce(value)]

    return coerced


def _input_object(type_: GraphQLInputObjectType) -> Coerce:
    if type_.is_one_of:
        raise CoercionFailedError
    fields = [
        (
            name,
            field.out_name or name,
            _not_null_coercer(get_nullable_type(field.type)),
            not is_non_null_type(field.type),
            is_required_input_field(field),
            Undefined if is_required_input_field(field) else coerce_default_value(field),
        )
        for name, field in type_.fields.items()
    ]
    names = type_.fields.keys()

    def coerced(value: Value) -> Value:
        if not isinstance(value, dict) or not value.keys() <= names:
            raise CoercionFailedError
        given = {}
        for name, out_name, coerce, is_nullable, is_required, default in fields:
            one = value.get(name, Undefined)
            if one is Undefined:
                if is_required:
                    raise CoercionFailedError
                if default is not Undefined:
                    given[out_name] = default
            elif one is not None:
                given[out_name] = coerce(one)
            elif is_nullable:
                given[out_name] = None
            else:
                raise CoercionFailedError
        return _made(type_, given)

    return coerced


def _made(type_: GraphQLInputObjectType, given: dict[str, Value]) -> Value:
    """Return Strawberry's object of these fields. Only there it is checked that a @oneOf has one of them."""
    try:
        return type_.out_type(given)
    except GraphQLError:
        raise CoercionFailedError from None


def _enum(type_: CustomGraphQLEnumType) -> Coerce:
    members = {name: type_.coerce_input_value(name) for name in type_.values}

    def coerced(value: Value) -> Value:
        if type(value) is not str or value not in members:
            raise CoercionFailedError
        return members[value]

    return coerced


def _text(leaf: Coerce) -> Coerce:
    def coerced(value: Value) -> Value:
        return value if type(value) is str else leaf(value)

    return coerced


def _leaf(type_: GraphQLLeafType) -> Coerce:
    read = type_.coerce_input_value

    def coerced(value: Value) -> Value:
        try:
            read_value = read(value)
        except Exception:  # noqa: BLE001 - graphql-core reports the error
            raise CoercionFailedError from None
        if read_value is Undefined:
            raise CoercionFailedError
        return read_value

    return coerced
