"""The end of valid tokens: they are removed from the cache, and their sockets are closed."""

from dataclasses import dataclass

from graph.auth.accepted_tokens import AcceptedTokens
from graph.auth.key_set import Thumbprints
from graph.auth.token_cache import TokenCache
from graph.websocket.close_codes import TokenEnd
from graph.websocket.open_sockets import OpenSockets


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWithdrawal:
    """The withdrawal of tokens in one process."""

    accepted: AcceptedTokens
    cache: TokenCache
    sockets: OpenSockets

    def keys_changed(self, in_force: Thumbprints) -> None:
        """Withdraw the tokens of keys that are gone. To be called at each change of the issuer's keys."""
        self.cache.forget(lambda _: True)
        self.sockets.end_withdrawn(lambda bearer: bearer.key_id not in in_force, TokenEnd.KEY_GONE)

    async def read_all_revocations(self) -> None:
        """Withdraw everything that is revoked, for a process that starts. Raise UnavailableError."""
        while await self.read_revocations():
            pass

    async def read_revocations(self) -> bool:
        """Withdraw what was revoked since the last call; return whether more is to be read. Raise UnavailableError."""
        changes = await self.accepted.revocations.read()
        if changes.tokens:
            self.cache.forget(self.accepted.is_revoked)
            self.sockets.end_withdrawn(self.accepted.is_revoked, TokenEnd.REVOKED)
        return changes.has_more
