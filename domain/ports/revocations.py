"""Storage of revocations of tokens, and how every process reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.model.operator_actions import NewAction
from domain.model.revocations import Revocation, RevokedTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationChanges:
    """What was revoked after a position, the oldest first, and the position after which to read on."""

    tokens: Sequence[RevokedTokens]
    position: int
    has_more: bool


class TokenRevocations(Protocol):
    """The revocations in force. Every method raises UnavailableError when the database does not answer."""

    async def revoke(self, revocation: Revocation, *, action: NewAction) -> None:
        """Store the revocation and, with it, the operator's action.

        A repeat widens the stored one: no revoked token becomes valid.

        Its position is after all positions that any reader has read.
        """

    async def changes_after(self, position: int, *, limit: int) -> RevocationChanges:
        """Return at most `limit` revocations that were stored or widened after the position; 0: all.

        No reader that continues from the position misses one, with any concurrent writers. A position beyond the stored
        ones, as after a restore of the database, counts as 0.
        """
