"""How many requests the load keeps open: more while they are answered, far fewer when they run into time-outs.

Without it a machine that is slow for a moment stays slow: it works on requests whose clients have long given up. Pure.
"""

from dataclasses import dataclass

OPEN_FIRST = 40.0
OPEN_MIN = 8.0
OPEN_MAX = 300.0
SHRINK_FACTOR = 0.6
SHRINKS_APART_SECONDS = 1.0


@dataclass(slots=True)
class Window:
    """The current bound."""

    open_max: float = OPEN_FIRST
    _shrunk_at: float = float("-inf")

    def note_answer(self) -> None:
        """Note an answer: one more request may be open for each full window of answers."""
        self.open_max = min(self.open_max + 1 / self.open_max, OPEN_MAX)

    def note_time_out(self, *, now: float) -> None:
        """Note a time-out. Those at about the same time count once."""
        if now - self._shrunk_at >= SHRINKS_APART_SECONDS:
            self._shrunk_at = now
            self.open_max = max(self.open_max * SHRINK_FACTOR, OPEN_MIN)
