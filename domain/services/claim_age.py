"""The age of a claim by every clock that a process can read.

The event loop's clock stops while a host is suspended, and the wall clock can be set: neither by itself shows how long
ago an order was claimed. A claim that is old by any of them is checked in the database before its order is sent.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta


def _seconds_with_suspends() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


OTHER_CLOCKS: Sequence[Callable[[], float]] = (
    time.time,
    *((_seconds_with_suspends,) if hasattr(time, "CLOCK_BOOTTIME") else ()),  # Linux has it, macOS has not.
)
"""The clocks that go on while the host is suspended, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAge:
    """The age of a claim. Create it before claiming: a process may be suspended, even between the claim's commit and
    its answer. `claimed_at` is the event loop's time, in seconds."""

    clocks: Sequence[Callable[[], float]] = OTHER_CLOCKS
    claimed_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _others: Sequence[float] = field(init=False)

    def __post_init__(self) -> None:
        """Read the other clocks."""
        object.__setattr__(self, "_others", [clock() for clock in self.clocks])

    def seconds(self) -> float:
        """Return the age by the event loop's clock."""
        return asyncio.get_running_loop().time() - self.claimed_at

    def may_exceed(self, bound: timedelta) -> bool:
        """Return whether the claim is older by any clock. A clock that was set back by that much shows nothing."""
        ages = [abs(clock() - then) for clock, then in zip(self.clocks, self._others, strict=True)]
        return max(self.seconds(), *ages) > bound.total_seconds()
