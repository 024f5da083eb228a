"""A violation: which of the eight invariants does not hold, and of what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One finding. `subject` is the id to search for in the history: of an order, an account, a subscriber."""

    invariant: int
    what: str
    subject: str
