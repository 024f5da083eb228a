"""The compiler's dependencies on the application, passed in once: the compiler imports nothing of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphql import DocumentNode, GraphQLError

from graph.engine.leaves import ExactTypes
from graph.engine.operation import CompiledOperation
from graph.engine.run import Context


class CompilableDocument(Protocol):
    """A valid document, and its compiled operations by name: None for one that is not compilable."""

    @property
    def node(self) -> DocumentNode:
        """The parsed document."""

    @property
    def compiled(self) -> dict[str | None, CompiledOperation | None]:
        """The operations that were compiled so far. The compiler adds to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHooks:
    """The callables of the application. Each is called once per operation, `public_error` once per error.

    `find_document` takes the query, the operation's name, its variables and the context, and returns the document with
    the number of objects that the answer can contain, or None for a request that Strawberry must answer, a refusal for
    example. `deadline` takes the context and the kind of the operation (`query`, `mutation`, `subscription`) and spans
    the operation, or the start of a subscription. `query_slots` takes the context and that number of objects; each
    query occupies the slots while it runs. `exact_types` names the class of nearly every value of a scalar, by the
    scalar's `serialize`: such a value is neither null nor an error. `shared_results_max` bounds the cached results of
    subscriptions for other subscribers.
    """

    find_document: Callable[[str, str | None, Mapping[str, Any] | None, Context], tuple[CompilableDocument, int] | None]
    deadline: Callable[[Context, str], AbstractContextManager[None]]
    query_slots: Callable[[Context, int], AbstractAsyncContextManager[None]]
    public_error: Callable[[GraphQLError, Context], GraphQLError]
    exact_types: ExactTypes = field(default_factory=dict)
    shared_results_max: int = 1_000
