"""The length of a list in an answer: a literal of the document, or a variable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Variables = Mapping[str, object]


class Size(Protocol):
    """How long a list can be."""

    def rows(self, variables: Variables) -> int:
        """Return the highest number of rows."""


@dataclass(frozen=True, slots=True)
class FixedSize:
    """A list that is never longer."""

    max_rows: int

    def rows(self, variables: Variables) -> int:  # noqa: ARG002 - the protocol's argument
        """Its greatest length."""
        return self.max_rows


@dataclass(frozen=True, slots=True)
class ListLength:
    """The length of a variable's list."""

    variable: str

    def rows(self, variables: Variables) -> int:
        """Return the list's length; a single value counts as a list of one (GraphQL, section 3.11)."""
        given = variables.get(self.variable)
        return len(given) if isinstance(given, list | tuple) else int(given is not None)


@dataclass(frozen=True, slots=True)
class Number:
    """An integer argument: a literal, or an optional variable."""

    written: int | None
    variable: str | None = None

    def read(self, variables: Variables) -> int | None:
        """Return the number; None for null. A value that is not an integer counts as 0: it is refused before any
        read.
        """
        if self.variable is None or self.variable not in variables:
            return self.written
        given = variables[self.variable]
        if given is None:
            return None
        return int(given) if isinstance(given, int) or (isinstance(given, float) and given.is_integer()) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSize:
    """The rows of one page, by the rule of graph/schema/page_arguments.py: a page beyond the limit is refused."""

    first: Number
    last: Number
    default_first: int | None
    default_rows: int
    max_rows: int

    def rows(self, variables: Variables) -> int:
        """Return the page's length."""
        first, last = self.first.read(variables), self.last.read(variables)
        if last is not None and first == self.default_first:
            first = None
        asked = [size for size in (first, last) if size is not None]
        return max(0, min(*asked, self.max_rows)) if asked else self.default_rows
