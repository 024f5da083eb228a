"""DeadLetters in memory."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class MemoryDeadLetters:
    """The recorded dead letters: the error, the raw message and the source of each."""

    letters: list[tuple[str, bytes]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    async def add(self, *, source: str, error: str, raw: bytes) -> None:
        self.letters.append((error, raw))
        self.sources.append(source)
