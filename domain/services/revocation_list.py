"""The revocations in force as known to one process: read twice a second, checked without a wait.

While the database is unreachable, the read ones stay in force and new ones wait. Memory is bounded: there is one entry
for an account and one for a token, and each is removed when none of its tokens can still be valid.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile

from domain.model.errors import TransientError
from domain.model.revocations import RevokedTokens
from domain.ports.clock_and_ids import Clock
from domain.ports.revocations import RevocationChanges, TokenRevocations
from domain.ports.telemetry import Metric, Telemetry

READ_EVERY = timedelta(seconds=0.5)
"""With the second in which sockets are closed that is less than IN_FORCE_WITHIN_SECONDS, also on a busy machine."""
CHANGES_MAX = 10_000
"""Revocations that one read returns at most; more are read at once by the next one."""


class RevocationList:
    """What is revoked. `is_read` is False until the first time that everything was read."""

    def __init__(
        self, store: TokenRevocations, *, clock: Clock, telemetry: Telemetry, changes_max: int = CHANGES_MAX
    ) -> None:
        self.is_read = False
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._changes_max = changes_max
        self._position = 0
        # Those that are revoked again move to the end, so the first one expires first.
        self._by_token: dict[str, RevokedTokens] = {}
        self._by_account: dict[str, RevokedTokens] = {}

    async def read(self) -> RevocationChanges:
        """Read new revocations and return them. Raise UnavailableError.

        After a failure everything is read again: the database may have been restored meanwhile, with other positions.
        """
        try:
            changes = await self._store.changes_after(self._position, limit=self._changes_max)
        except TransientError:
            self._position = 0
            raise
        for tokens in changes.tokens:
            self._add(tokens)
        self._position = changes.position
        self.is_read = self.is_read or not changes.has_more
        self._drop_expired(self._by_token)
        self._drop_expired(self._by_account)
        self._telemetry.set(Metric.REVOCATIONS, len(self._by_token) + len(self._by_account))
        return changes

    def is_revoked(self, *, token_id: str | None, account_ids: Iterable[str], issued_at: datetime | None) -> bool:
        """Return whether a token with that id, of those accounts, is revoked.

        `issued_at` is None when unknown: then it counts as issued before every time.
        """
        if token_id is not None and token_id in self._by_token:
            return True
        for account_id in account_ids:
            revoked = self._by_account.get(account_id)
            if revoked is None or revoked.issued_before is None:
                continue
            if issued_at is None or issued_at < revoked.issued_before:
                return True
        return False

    def _add(self, tokens: RevokedTokens) -> None:
        by_token = tokens.token_id is not None
        known, key = (self._by_token, tokens.token_id) if by_token else (self._by_account, tokens.account_id)
        if key is not None:
            before = known.pop(key, None)
            # A restored database may lack revocations in force here.
            known[key] = tokens if before is None else before.widened_by(tokens)

    def _drop_expired(self, known: dict[str, RevokedTokens]) -> None:
        now = self._clock()
        for key in list(takewhile(lambda key: known[key].expires_at < now, known)):
            del known[key]
