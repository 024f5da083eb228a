"""A violation: which of the eight invariants does not hold, and of what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One finding. `subject` is what to look for in the history: an id of an order, an account, a subscriber.

    `detail` is what was found, where the subject alone does not say it.
    """

    invariant: int
    what: str
    subject: str
    detail: str = ""
