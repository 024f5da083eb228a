"""Dead letters: a message of a venue that could not be recorded is stored raw, with an alert."""

import hashlib
from dataclasses import dataclass, field

from domain.model.errors import TransientError
from domain.ports.ingest_state import DeadLetters
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import UnreadableFill, UnreadableReport, VenueReport

RAW_LOGGED_MAX_BYTES = 1_000
KEPT_CACHED_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterKeeper:
    """The dead letters of one source. `_kept` are the digests of the stored ones: overlapping reads repeat them,
    and each is logged once.
    """

    source: str
    dead_letters: DeadLetters
    telemetry: Telemetry
    _kept: dict[bytes, None] = field(default_factory=dict)

    async def keep(self, item: VenueReport | UnreadableReport | UnreadableFill, *, error: str) -> None:
        """Log the item as an alert, and store it raw. Never raises for an unreachable database."""
        raw = item.raw or repr(item).encode()
        digest = hashlib.sha256(raw).digest()
        if digest in self._kept:
            return
        self.telemetry.count(Metric.REPORTS_UNREADABLE)
        self.telemetry.error(
            "dead_letter", source=self.source, error=error, next="stored raw in dead_letters; the rest is recorded"
        )
        try:
            await self.dead_letters.add(source=self.source, error=error, raw=raw)
        except TransientError as failure:
            shown = raw[:RAW_LOGGED_MAX_BYTES].decode(errors="replace")
            self.telemetry.error("dead_letter_lost", source=self.source, error=str(failure), raw=shown)
            return
        if len(self._kept) >= KEPT_CACHED_MAX:
            self._kept.clear()
        self._kept[digest] = None
