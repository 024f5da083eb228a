"""The stored times at which something is due. The store's clock may have been put back since they were written."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBounds:
    """The latest possible due times: `lease` is that of a claim, `cancel` the longest wait of a cancel request, and
    `probe` the longest time until the circuit breaker's next probe.
    """

    lease: timedelta
    cancel: timedelta
    probe: timedelta


class DueTimes(Protocol):
    """The due times of orders, cancel requests and probes."""

    async def repair(self, bounds: DueBounds) -> int:
        """Move due times nearer that no process can have written at the store's present time; return their number.

        A claim keeps its whole lease from now on, since its attempt may be running. Raises UnavailableError.
        """
