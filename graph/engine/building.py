"""From a document to completions: graphql-core collects the fields, once, and each is looked up in the schema."""

from inspect import isasyncgenfunction
from operator import attrgetter
from typing import cast

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.types.field import StrawberryField

from graph.engine.arguments import Arguments, NotCompilableError, converters_for
from graph.engine.completion import AbstractValue, Completion, ListValue, NotNull, ObjectValue
from graph.engine.leaves import ExactTypes, Leaf, leaf_for
from graph.engine.run import FieldPosition, FieldSource, OperationSource, Value
from graph.engine.selection import Field, LeafField, ReadField, ResolvedField, Resolver, Selection, TypeName

TYPE_NAME = "__typename"


class Builder:
    """Builder of one operation for one result of @skip and @include. It raises NotCompilableError.

    `has_resolvers` tells, after a build, whether it contains a resolver.
    """

    def __init__(
        self, schema: Schema, source: OperationSource, variables: VariableValues, *, exact_types: ExactTypes
    ) -> None:
        self._schema = schema
        self._source = source
        self._variables = variables
        self._exact_types = exact_types
        self._fragments = {name: FragmentDetails(node) for name, node in source.fragments.items()}
        self.has_resolvers = False

    def root(self, type_: GraphQLObjectType) -> Selection:
        """Return the root of a query or mutation."""
        return self._selection(type_, self._root_fields(type_))

    def subscription(self, type_: GraphQLObjectType) -> tuple[Resolver, FieldPosition, ReadField]:
        """Return the resolver of the events, the position of its errors, and the field whose value each event is."""
        key, details = next(iter(self._root_fields(type_).items()), (None, None))
        if key is None or details is None:
            raise NotCompilableError("a subscription whose field is left out")
        definition, source = self._look_up(type_, details)
        field = _strawberry_field(definition)
        if field.base_resolver is None:
            raise NotCompilableError("a subscription without a resolver")
        resolver = self._resolver(field, definition, source)
        self.has_resolvers = False
        position = FieldPosition(nodes=source.nodes, is_nullable=not is_non_null_type(definition.type))
        completion = self._completion(definition.type, details, source)
        return resolver, position, ReadField(key, _itself, completion, position)

    def _root_fields(self, type_: GraphQLObjectType) -> GroupedFieldSet:
        source = self._source
        return collect_fields(source.schema, self._fragments, self._variables, type_, source.node).grouped_field_set

    def _selection(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> Selection:
        return Selection([self._field(type_, key, details) for key, details in fields.items()])

    def _field(self, type_: GraphQLObjectType, key: str, details: FieldDetailsList) -> Field | LeafField:
        if details[0].node.name.value == TYPE_NAME:
            return TypeName(key, type_.name)
        definition, source = self._look_up(type_, details)
        field = _strawberry_field(definition)
        position = FieldPosition(nodes=source.nodes, is_nullable=not is_non_null_type(definition.type))
        if field.base_resolver is not None:
            resolver = self._resolver(field, definition, source)
            return ResolvedField(key, resolver, self._completion(definition.type, details, source), position)
        if field.default_resolver is not getattr:
            raise NotCompilableError("a default resolver of its own")
        leaf = self._leaf(definition.type, source)
        if leaf is not None:
            return LeafField(key, field.python_name, leaf, position)
        completion = self._completion(definition.type, details, source)
        return ReadField(key, attrgetter(field.python_name), completion, position)

    def _look_up(self, type_: GraphQLObjectType, details: FieldDetailsList) -> tuple[GraphQLField, FieldSource]:
        nodes = [detail.node for detail in details]
        name = nodes[0].name.value
        definition = type_.fields.get(name)
        if definition is None:
            raise NotCompilableError(f"the field {name}: introspection")
        return definition, FieldSource(name=name, nodes=nodes, return_type=definition.type, parent_type=type_)

    def _resolver(self, field: StrawberryField, definition: GraphQLField, source: FieldSource) -> Resolver:
        if field.extensions:
            raise NotCompilableError("a field with extensions")
        resolver = field.base_resolver
        if resolver is not None and (resolver.parent_parameter or resolver.root_parameter):
            raise NotCompilableError("a resolver that asks for its parent by another name than self")
        if resolver is not None and isasyncgenfunction(resolver.wrapped_func):
            raise NotCompilableError("a resolver that is a generator")
        self.has_resolvers = True
        arguments = Arguments(definition, source.nodes[0], converters_for(field, self._schema))
        return Resolver(field, arguments, source)

    def _completion(self, type_: GraphQLOutputType, details: FieldDetailsList, source: FieldSource) -> Completion:
        leaf = self._leaf(type_, source)
        if leaf is not None:
            return leaf
        if is_non_null_type(type_):
            return NotNull(self._completion(type_.of_type, details, source), _null_complaint(source))
        if is_list_type(type_):
            position = FieldPosition(nodes=source.nodes, is_nullable=not is_non_null_type(type_.of_type))
            complaint = f"Expected Iterable, but did not find one for field '{source.parent_type}.{source.name}'."
            return ListValue(self._completion(type_.of_type, details, source), position, complaint=complaint)
        if is_abstract_type(type_):
            possible = self._source.schema.get_possible_types(type_)
            return AbstractValue(type_, {one.name: self._object(one, details, source) for one in possible}, source)
        if is_object_type(type_):
            return self._object(type_, details, source)
        raise NotCompilableError(f"a field of the type {type_}")

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList, source: FieldSource) -> ObjectValue:
        operation = self._source
        collected = collect_subfields(
            operation.schema, self._fragments, self._variables, operation.node, type_, details
        )
        return ObjectValue(type_, self._selection(type_, collected.grouped_field_set), source)

    def _leaf(self, type_: GraphQLOutputType, source: FieldSource) -> Leaf | None:
        if is_leaf_type(type_):
            return leaf_for(type_, null_complaint=None, exact_types=self._exact_types)
        if is_non_null_type(type_) and is_leaf_type(type_.of_type):
            complaint = _null_complaint(source)
            return leaf_for(type_.of_type, null_complaint=complaint, exact_types=self._exact_types)
        return None


def _null_complaint(source: FieldSource) -> str:
    return f"Cannot return null for non-nullable field {source.parent_type}.{source.name}."


def _strawberry_field(definition: GraphQLField) -> StrawberryField:
    return cast("StrawberryField", definition.extensions["strawberry-definition"])


def _itself(event: Value) -> Value:
    return event
