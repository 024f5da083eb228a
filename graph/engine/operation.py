"""A compiled operation: one operation of one document, executable with any variables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    Node,
    OperationDefinitionNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.types.graphql import OperationType

from graph.engine.arguments import NotCompilableError, variables_of
from graph.engine.building import Builder
from graph.engine.leaves import ExactTypes
from graph.engine.run import Context, FieldPosition, OperationSource, Run, Value
from graph.engine.selection import LeafField, ReadField, Resolver, Selection
from graph.engine.variables import Variables

CONDITIONS_MAX = 3
"""So many variables may decide what @skip and @include leave in: each choice is compiled by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A query or mutation, for one choice of conditions."""

    selection: Selection
    is_serial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A subscription, for one choice of conditions. `are_alike_for_all`: no resolver has a part in an event."""

    resolver: Resolver
    position: FieldPosition
    field: ReadField
    are_alike_for_all: bool


class CompiledOperation:
    """One operation. What is not compilable under some choice of conditions is found when that is met first."""

    def __init__(
        self, schema: Schema, source: OperationSource, conditions: Sequence[str], *, exact_types: ExactTypes
    ) -> None:
        self.kind = OperationType(source.kind)
        self._schema = schema
        self._source = source
        self._conditions = conditions
        self._exact_types = exact_types
        self._variables = Variables(source.schema, source.node.variable_definitions or ())
        self._plans: dict[tuple[bool | None, ...], Root | Events | None] = {}

    def begin(
        self,
        given: Mapping[str, Value] | None,
        context: Context,
        *,
        objects: int = 0,
        extensions: dict[str, Value] | None = None,
    ) -> tuple[Run, Root | Events] | None:
        """Return a run with the given variables, and its selection; None when Strawberry has to execute it, for
        example for variables that do not fit.
        """
        variables = self._variables.read(given)
        plan = None if variables is None else self._plan(variables)
        if variables is None or plan is None:
            return None
        return Run(self._source, variables, context, extensions, objects=objects), plan

    def _plan(self, variables: VariableValues) -> Root | Events | None:
        choice = tuple([variables.coerced.get(name) for name in self._conditions])
        if None in choice:
            return None  # Null where a Boolean must be: an error that graphql-core places.
        if choice not in self._plans:
            self._plans[choice] = self._build(variables)
        return self._plans[choice]

    def _build(self, variables: VariableValues) -> Root | Events | None:
        builder = Builder(self._schema, self._source, variables, exact_types=self._exact_types)
        root_type = self._source.schema.get_root_type(self._source.node.operation)
        if root_type is None:
            return None
        try:
            if self.kind is OperationType.SUBSCRIPTION:
                resolver, position, field = builder.subscription(root_type)
                return Events(
                    resolver=resolver, position=position, field=field, are_alike_for_all=not builder.has_resolvers
                )
            selection = builder.root(root_type)
        except (NotCompilableError, RecursionError):
            return None
        if any(isinstance(field, LeafField) for field in selection.fields):
            return None
        return Root(selection=selection, is_serial=self.kind is OperationType.MUTATION)


def compile_operation(
    schema: Schema, document: DocumentNode, operation_name: str | None, *, exact_types: ExactTypes
) -> CompiledOperation | None:
    """Compile an operation of a valid document; return None when it is not compilable.

    Without a name the document's only operation is selected.
    """
    if schema.exception_handlers or schema.directives:
        return None
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation_name is not None:
        operations = [node for node in operations if node.name is not None and node.name.value == operation_name]
    if len(operations) != 1:
        return None
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    try:
        conditions = sorted(set(_conditions(document)))
    except NotCompilableError:
        return None
    if len(conditions) > CONDITIONS_MAX or any(node.variable_definitions for node in fragments.values()):
        return None
    core = schema._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema
    return CompiledOperation(
        schema,
        OperationSource(kind=operations[0].operation.value, schema=core, node=operations[0], fragments=fragments),
        conditions,
        exact_types=exact_types,
    )


def _conditions(document: DocumentNode) -> Iterator[str]:
    """Return the variables of @skip and @include; raise NotCompilableError for other directives."""
    directives: list[DirectiveNode] = []
    visit(document, _DirectiveFinder(directives))
    for directive in directives:
        if directive.name.value not in {GraphQLSkipDirective.name, GraphQLIncludeDirective.name}:
            raise NotCompilableError(f"the directive {directive.name.value}")
    yield from variables_of(directives)


class _DirectiveFinder(Visitor):
    def __init__(self, found: list[DirectiveNode]) -> None:
        super().__init__()
        self._found = found

    def enter_directive(self, node: DirectiveNode, *_: Node) -> None:
        self._found.append(node)
