"""A cache of verified tokens, so that a signature is verified once in CACHED_SECONDS and not with each request.

A verification takes 50 to 100 microseconds, more than all other work before an order is stored. Only valid tokens are
cached, never a refusal. Tokens that are no longer valid are removed immediately.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from domain.ports.clock_and_ids import Clock
from graph.auth.bearer import Bearer
from graph.auth.tokens import TokenVerifier

CACHED_SECONDS = 60.0
"""No setting: longer saves nothing, and shorter neither is any safer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCache:
    """A TokenVerifier in front of another one; the oldest of `tokens_max` tokens is evicted first.

    A token's expiry is compared with the wall clock, CACHED_SECONDS with a monotonic one.
    """

    verifier: TokenVerifier
    tokens_max: int
    clock: Clock
    steady_seconds: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[Bearer, float]] = field(default_factory=dict)

    def verify(self, token: str) -> Bearer:
        """Return the bearer. Raises InvalidTokenError."""
        known = self._known.get(token)
        if known is not None:
            bearer, until = known
            if self.steady_seconds() < until and self._is_current(bearer.token_expires_at):
                return bearer
            del self._known[token]
        bearer = self.verifier.verify(token)
        if len(self._known) >= self.tokens_max:
            del self._known[next(iter(self._known))]
        self._known[token] = (bearer, self.steady_seconds() + CACHED_SECONDS)
        return bearer

    def forget(self, is_forgotten: Callable[[Bearer], bool]) -> None:
        """Have the tokens of these bearers verified again when they are used next."""
        for token in [token for token, (bearer, _) in self._known.items() if is_forgotten(bearer)]:
            del self._known[token]

    def _is_current(self, expires_at: datetime) -> bool:
        # After the expiry the verifier decides, with its leeway.
        return self.clock() < expires_at
