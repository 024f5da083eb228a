"""The size limits of a document: depth, nesting, aliases, directives, repeats, orders, counted with fragments spread.

Each fragment is measured once, so the cost of a chain of fragments that spread each other is its length, not its
expansion. A repeat is a field in a selection with another of the same name: to validate that the two agree, every one
is compared with every other (240 repeats in 4 kB took 0.2 s, in which the process does nothing else).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from graph.errors import ErrorCode
from graph.settings import GraphSettings

PLACING = "placeOrder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The measure of a part of a document. `nesting` counts nested selections, including those of fragments."""

    depth: int = 0
    nesting: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    orders: int = 0

    @classmethod
    def of_all(cls, parts: Iterable["Measure"]) -> "Measure":
        """Parts side by side: the deepest counts, the rest adds up."""
        parts = list(parts)
        return cls(
            depth=max((part.depth for part in parts), default=0),
            nesting=max((part.nesting for part in parts), default=0),
            aliases=sum(part.aliases for part in parts),
            directives=sum(part.directives for part in parts),
            repeats=sum(part.repeats for part in parts),
            orders=sum(part.orders for part in parts),
        )


_BRACKETS = re.compile(
    r'"""(?:\\"""|(?!""").)*+(?:"""|\Z)'  # A block string.
    r'|"(?:[^"\\\n\r]|\\.)*+"?'
    r"|#[^\n\r]*+"
    r"|[{}\[\]]",
    re.DOTALL,
)
"""Brackets, and what only looks like them: inside strings and comments (GraphQL, sections 2.1.4 and 2.9.4)."""


def is_nested_beyond(max_nesting: int, text: str) -> bool:
    """Return whether brackets are nested so deep that the document certainly exceeds the limit of nesting.

    It saves parsing: the parser recurses to the end of its stack, and the exception unwinds it (3 ms).
    """
    if text.count("{") + text.count("[") <= max_nesting:
        return False
    depth = 0
    for found in _BRACKETS.finditer(text):
        match found[0]:
            case "{" | "[":
                depth += 1
                if depth > max_nesting:
                    return True
            case "}" | "]":
                depth -= 1
    return False


def find_excess(document: DocumentNode, settings: GraphSettings) -> GraphQLError | None:
    """Return the first exceeded limit of the document, as an error; None when there is none."""
    try:
        measured = measure(document, max_nesting=settings.max_nesting)
    except NestingTooDeepError:
        return too_nested(settings.max_nesting)
    for what, found, limit in (
        ("levels of fields", measured.depth, settings.max_depth),
        ("aliases", measured.aliases, settings.max_aliases),
        ("directives", measured.directives, settings.max_directives),
        ("repeated fields", measured.repeats, settings.max_repeats),
        (f"times {PLACING}", measured.orders, settings.max_orders),
    ):
        if found > limit:
            return too_large(found, what, limit=limit)
    return None


def too_large(found: object, what: str, *, limit: int) -> GraphQLError:
    """Return the error for a document above a limit."""
    message = f"The document has {found} {what}; {limit} are allowed."
    return GraphQLError(message, extensions={"code": ErrorCode.DOCUMENT_TOO_LARGE, "limit": limit})


def too_nested(limit: int) -> GraphQLError:
    """Return the error for a document above the nesting limit; its depth is not counted, since that needs stack."""
    return too_large(f"more than {limit}", "selections or values in one another", limit=limit)


def too_costly(objects: int, limit: int) -> GraphQLError:
    """Return the error for an operation whose answer could be too large."""
    message = f"The answer could hold {objects} objects; {limit} are allowed. Ask for shorter pages."
    return GraphQLError(message, extensions={"code": ErrorCode.DOCUMENT_TOO_COSTLY, "limit": limit})


class NestingTooDeepError(Exception):
    """There are more selections in one another than allowed."""


def measure(document: DocumentNode, *, max_nesting: int) -> Measure:
    """Measure all operations of the document together; raises NestingTooDeepError."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    counter = _Counter(fragments, max_nesting)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return Measure.of_all(
        Measure.of_all((Measure(directives=len(node.directives or ())), counter.selections(node.selection_set)))
        for node in operations
    )


class _Counter:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], max_nesting: int) -> None:
        self.fragments = fragments
        self.max_nesting = max_nesting
        self.measured: dict[str, Measure] = {}
        self.level = 0

    def selections(self, selection_set: SelectionSetNode | None) -> Measure:
        if selection_set is None:
            return Measure()
        self.level += 1
        if self.level > self.max_nesting:
            raise NestingTooDeepError
        measured = self._inside(selection_set)
        self.level -= 1
        if measured.nesting >= self.max_nesting:
            raise NestingTooDeepError
        return replace(measured, nesting=measured.nesting + 1)

    def _inside(self, selection_set: SelectionSetNode) -> Measure:
        fields = [node for node in selection_set.selections if isinstance(node, FieldNode)]
        names = {node.alias.value if node.alias else node.name.value for node in fields}
        repeats = Measure(repeats=len(fields) - len(names))
        return Measure.of_all((repeats, Measure.of_all(self._selection(node) for node in selection_set.selections)))

    def _selection(self, node: SelectionNode) -> Measure:
        own = Measure(directives=len(node.directives or ()))
        if isinstance(node, FragmentSpreadNode):
            return Measure.of_all((own, self._fragment(node.name.value)))
        inner = self.selections(getattr(node, "selection_set", None))
        if isinstance(node, FieldNode):
            inner = _under_field(node, inner)
        return Measure.of_all((own, inner))

    def _fragment(self, name: str) -> Measure:
        if name not in self.measured:
            # Zero while it is being measured: a fragment that spreads itself ends here, and validation refuses it.
            self.measured[name] = Measure()
            fragment = self.fragments.get(name)
            if fragment is not None:
                self.measured[name] = self.selections(fragment.selection_set)
        return self.measured[name]


def _under_field(node: FieldNode, inner: Measure) -> Measure:
    # Introspection may be as deep as its own rule (in graphql-core) allows: GraphiQL's query has thirteen levels.
    is_introspection = node.name.value.startswith("__")
    return replace(
        inner,
        depth=0 if is_introspection else inner.depth + 1,
        aliases=inner.aliases + (node.alias is not None),
        orders=inner.orders + (node.name.value == PLACING),
    )
