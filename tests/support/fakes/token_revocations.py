"""Revoked tokens in memory."""

from dataclasses import dataclass, field, replace

from domain.model.errors import UnavailableError
from domain.model.operator_actions import NewAction
from domain.model.revocations import Revocation
from domain.ports.revocations import RevocationChanges

Key = tuple[str | None, str | None]


@dataclass(slots=True)
class MemoryTokenRevocations:
    """TokenRevocations. While `is_away`, every call raises UnavailableError."""

    is_away: bool = False
    head: int = 0
    actions: list[NewAction] = field(default_factory=list)
    stored: dict[Key, tuple[int, Revocation]] = field(default_factory=dict)

    async def revoke(self, revocation: Revocation, *, action: NewAction) -> None:
        self._require_database()
        self.actions.append(action)
        tokens, key = revocation.tokens, (revocation.tokens.account_id, revocation.tokens.token_id)
        if key in self.stored:
            tokens = self.stored[key][1].tokens.widened_by(tokens)
        self.head += 1
        self.stored[key] = (self.head, replace(revocation, tokens=tokens))

    async def changes_after(self, position: int, *, limit: int) -> RevocationChanges:
        self._require_database()
        start = position if position <= self.head else 0
        rows = sorted(self.stored.values(), key=lambda row: row[0])
        found = [(at, row.tokens) for at, row in rows if at > start][:limit]
        has_more = len(found) == limit
        return RevocationChanges(
            tokens=[tokens for _, tokens in found],
            position=found[-1][0] if has_more else self.head,
            has_more=has_more,
        )

    def _require_database(self) -> None:
        if self.is_away:
            raise UnavailableError
