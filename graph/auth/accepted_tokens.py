"""Which verified tokens are accepted: none with too long a lifetime, and none that was revoked."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.services.revocation_list import RevocationList
from graph.auth.bearer import Bearer
from graph.auth.tokens import EndedTokenError, InvalidTokenError, TokenVerifier, VerificationUnavailableError

FIRST_SIGHTS_MAX = 10_000
"""Tokens without `iat` that a process remembers; of more, the one that was seen first is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTokens:
    """A TokenVerifier around another one, with the rules of this installation.

    The lifetime of a token is the time from its `iat`, or from its first use in this process, to its `exp`. After a
    restart a token without `iat` counts as new.
    """

    verifier: TokenVerifier
    revocations: RevocationList
    lifetime_max: timedelta
    issue_time_required: bool = False
    first_sights_max: int = FIRST_SIGHTS_MAX
    _first_sights: dict[bytes, datetime] = field(default_factory=dict)

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raise InvalidTokenError, or VerificationUnavailableError before revocations were read."""
        bearer = self.verifier.verify(token)
        if not bearer.is_issue_time_known:
            if self.issue_time_required:
                raise InvalidTokenError
            bearer = replace(bearer, issued_at=self._first_sight(token, bearer.issued_at))
        if bearer.token_expires_at - bearer.issued_at > self.lifetime_max:
            raise InvalidTokenError
        if not self.revocations.is_read:
            raise VerificationUnavailableError
        if self.is_revoked(bearer):
            raise EndedTokenError
        return bearer

    def is_revoked(self, bearer: Bearer) -> bool:
        """Return whether the bearer's token was revoked. One without `iat` may be of before any moment."""
        return self.revocations.is_revoked(
            token_id=bearer.token_id,
            account_ids=(bearer.subject, *bearer.account_ids),
            issued_at=bearer.issued_at if bearer.is_issue_time_known else None,
        )

    def _first_sight(self, token: str, now: datetime) -> datetime:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen_at = self._first_sights.setdefault(digest, now)
        if len(self._first_sights) > self.first_sights_max:
            del self._first_sights[next(iter(self._first_sights))]
        return seen_at
