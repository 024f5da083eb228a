"""How much a document may ask for: depth, aliases, directives, repeats, counted as they are when fragments are spread.

Each fragment is measured once, so a chain of fragments that spread each other costs what it is long, not what it
stands for. A repeat is a field that stands beside another of the same name: to validate that the two agree, every one
is compared with every other (240 repeats in 4 kB took 0.2 s, in which the process does nothing else).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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

from graph.settings import GraphSettings

DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a part of a document amounts to."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0

    @classmethod
    def of_all(cls, parts: Iterable["Measure"]) -> "Measure":
        """Parts side by side: the deepest counts, the rest adds up."""
        parts = list(parts)
        return cls(
            depth=max((part.depth for part in parts), default=0),
            aliases=sum(part.aliases for part in parts),
            directives=sum(part.directives for part in parts),
            repeats=sum(part.repeats for part in parts),
        )


def find_excess(document: DocumentNode, settings: GraphSettings) -> GraphQLError | None:
    """The first limit that the document goes beyond, as an error; None when it keeps to all."""
    measured = measure(document)
    for name, value, limit in (
        ("levels of fields", measured.depth, settings.max_depth),
        ("aliases", measured.aliases, settings.max_aliases),
        ("directives", measured.directives, settings.max_directives),
        ("repeated fields", measured.repeats, settings.max_repeats),
    ):
        if value > limit:
            return too_large(f"The document has {value} {name}; {limit} are allowed.")
    return None


def too_large(message: str) -> GraphQLError:
    """The error for a document beyond a limit."""
    return GraphQLError(message, extensions={"code": DOCUMENT_TOO_LARGE})


def measure(document: DocumentNode) -> Measure:
    """Measure all operations of the document together."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    counter = _Counter(fragments)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return Measure.of_all(
        Measure.of_all((Measure(directives=len(node.directives or ())), counter.selections(node.selection_set)))
        for node in operations
    )


class _Counter:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.fragments = fragments
        self.measured: dict[str, Measure] = {}

    def selections(self, selection_set: SelectionSetNode | None) -> Measure:
        if selection_set is None:
            return Measure()
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
    # Introspection is as deep as its own rule (in graphql-core) allows: GraphiQL's query has thirteen levels.
    is_introspection = node.name.value.startswith("__")
    return Measure(
        depth=0 if is_introspection else inner.depth + 1,
        aliases=inner.aliases + (node.alias is not None),
        directives=inner.directives,
        repeats=inner.repeats,
    )
