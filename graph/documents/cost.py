"""The cost of a document: the highest number of objects that its answer can contain.

Each object counts one, and so does a separately read value. A connection multiplies its rows by the length of the page:
`first` or `last`, also from a variable, else the page's default. So nested pages multiply. A page of an object, such as
an order's executions, is read by a separate statement for each object: it counts PAGE_OF_AN_OBJECT in addition to its
rows. The formula is computed once for each operation of a text; each request only inserts its variables. It is never
lower than the answer: fields under @include and @skip count, and so do all branches of a union.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

from domain.model.accounts import TOKEN_ACCOUNTS_MAX
from graph.documents.list_sizes import FixedSize, ListLength, Number, PageSize, Size, Variables
from graph.settings import GraphSettings

UNPAGED_LIST_MAX_ROWS = 10
"""The longest list that is not paged: the issues of an InvalidOrder, at most one or two for each field of the input."""

LONGER_LISTS = {"Viewer.accounts": TOKEN_ACCOUNTS_MAX}
"""Lists that are not paged either, and how long they can be."""

READ_BY_THEMSELVES = frozenset(
    {
        "Account.openOrders",
        "Account.tradingHalted",
        "Account.lastOrderAt",
        "Viewer.auditHead",
        "Account.auditHead",
        "Viewer.openOrders",
        "Viewer.tradingHalted",
    }
)
"""Values that are no objects, and that nothing has read before they are asked for: each counts like one."""

PAGE_OF_AN_OBJECT = 10
"""What such a page costs beside its rows, also an empty one: with 5,000 objects one request makes at most 500 reads."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A number of objects, and for each list its length times the cost of one row."""

    objects: int = 0
    lists: tuple[tuple[Size, "Cost"], ...] = ()

    def __add__(self, other: "Cost") -> "Cost":
        lists = dict(self.lists)
        for size, row in other.lists:
            lists[size] = lists[size] + row if size in lists else row
        return Cost(self.objects + other.objects, tuple(lists.items()))

    def of_rows(self, size: Size) -> "Cost":
        """Return the cost of a list of that size with this cost of a row."""
        return Cost(0, ((size, self),))

    def objects_with(self, variables: Variables) -> int:
        """Return the highest number of objects with these variables."""
        return self.objects + sum([size.rows(variables) * row.objects_with(variables) for size, row in self.lists])


NOTHING, ONE = Cost(), Cost(objects=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCost:
    """The formula of one operation, with its variables and their defaults."""

    cost: Cost
    variables: tuple[str, ...]
    defaults: Variables

    def objects_with(self, variables: Variables | None) -> int:
        """Return the highest number of objects in the answer; variables that do not fit count as 0 and fail later."""
        if not self.cost.lists:
            return self.cost.objects
        return self.cost.objects_with({**self.defaults, **(variables or {})})

    @property
    def least_objects(self) -> int:
        """The number of objects where every page and list that a variable sizes is empty."""
        return self.cost.objects_with(dict.fromkeys(self.variables, ()))


def cost_operations(
    document: DocumentNode, schema: GraphQLSchema, settings: GraphSettings
) -> Mapping[str | None, OperationCost]:
    """Return the cost of each operation of a valid document, by its name."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    reader = _Reader(schema, fragments, settings)
    return {
        node.name.value if node.name else None: reader.operation(node)
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    }


@dataclass(frozen=True, slots=True)
class _Selected:
    """A selection's cost: once, and again for each row where it is part of a connection."""

    once: Cost = NOTHING
    per_row: Cost = NOTHING

    def __add__(self, other: "_Selected") -> "_Selected":
        return _Selected(self.once + other.once, self.per_row + other.per_row)


class _Reader:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], settings: GraphSettings
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._settings = settings
        self._costs: dict[str, _Selected] = {}

    def operation(self, node: OperationDefinitionNode) -> OperationCost:
        root = self._schema.get_root_type(node.operation)
        assert root is not None  # noqa: S101 - the document is valid
        defaults = {
            definition.variable.name.value: definition.default_value for definition in node.variable_definitions or ()
        }
        return OperationCost(
            cost=ONE + self._selections(root, node.selection_set).once,
            variables=tuple(defaults),
            defaults={name: value_from_ast_untyped(value) for name, value in defaults.items() if value is not None},
        )

    def _selections(self, on: GraphQLCompositeType, selection_set: SelectionSetNode | None) -> _Selected:
        selections: Sequence[SelectionNode] = selection_set.selections if selection_set else ()
        return sum((self._selection(on, node) for node in selections), _Selected())

    def _selection(self, on: GraphQLCompositeType, node: SelectionNode) -> _Selected:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        if isinstance(node, InlineFragmentNode):
            return self._selections(self._narrowed(on, node), node.selection_set)
        assert isinstance(node, FieldNode)  # noqa: S101 - there is no fourth kind
        return self._field(on, node)

    def _fragment(self, name: str) -> _Selected:
        if name not in self._costs:
            node = self._fragments[name]
            self._costs[name] = self._selections(self._composite(node.type_condition.name.value), node.selection_set)
        return self._costs[name]

    def _field(self, on: GraphQLCompositeType, node: FieldNode) -> _Selected:
        # Introspection and __typename: the first has its own rule, the second is not an object.
        if not isinstance(on, GraphQLObjectType | GraphQLInterfaceType) or node.name.value.startswith("__"):
            return _Selected()
        field = on.fields[node.name.value]
        named = get_named_type(field.type)
        if not is_composite_type(named):
            return _Selected(ONE) if f"{on.name}.{node.name.value}" in READ_BY_THEMSELVES else _Selected()
        inner = self._selections(named, node.selection_set)
        if _is_connection(on) and _is_list(field.type):
            return _Selected(per_row=ONE + inner.once)
        if _is_connection(named):
            page = ONE if self._is_root(on) else Cost(objects=PAGE_OF_AN_OBJECT)
            return _Selected(page + inner.once + inner.per_row.of_rows(self._page_size(field, node)))
        row = ONE + inner.once
        return _Selected(row.of_rows(_list_size(on, node)) if _is_list(field.type) else row)

    def _is_root(self, on: GraphQLCompositeType) -> bool:
        return on in (self._schema.query_type, self._schema.mutation_type, self._schema.subscription_type)

    def _narrowed(self, on: GraphQLCompositeType, node: InlineFragmentNode) -> GraphQLCompositeType:
        return self._composite(node.type_condition.name.value) if node.type_condition else on

    def _composite(self, name: str) -> GraphQLCompositeType:
        named = self._schema.type_map[name]
        assert is_composite_type(named)  # noqa: S101 - the document is valid
        return named

    def _page_size(self, field: GraphQLField, node: FieldNode) -> PageSize:
        return PageSize(
            first=_number(field, node, "first"),
            last=_number(field, node, "last"),
            default_first=_default(field, "first"),
            default_rows=self._settings.page_default_rows,
            max_rows=self._settings.page_max_rows,
        )


def _is_list(type_: GraphQLOutputType) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _is_connection(type_: object) -> bool:
    return isinstance(type_, GraphQLObjectType) and {"edges", "pageInfo"} <= type_.fields.keys()


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((argument.value for argument in node.arguments or () if argument.name.value == name), None)


def _default(field: GraphQLField, name: str) -> int | None:
    argument = field.args.get(name)
    return None if argument is None or argument.default_value is Undefined else argument.default_value


def _number(field: GraphQLField, node: FieldNode, name: str) -> Number:
    default = _default(field, name)
    match _argument(node, name):
        case IntValueNode(value=digits):
            return Number(int(digits))
        case NullValueNode():
            return Number(None)
        case VariableNode() as variable:
            return Number(default, variable.name.value)
    return Number(default)


def _list_size(on: GraphQLCompositeType, node: FieldNode) -> Size:
    match _argument(node, "ids"):
        case VariableNode() as variable:
            return ListLength(variable.name.value)
        case ListValueNode(values=values):
            return FixedSize(len(values or ()))
    return FixedSize(LONGER_LISTS.get(f"{on.name}.{node.name.value}", UNPAGED_LIST_MAX_ROWS))
