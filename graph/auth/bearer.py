"""Who is asking: the account of a verified token and what the token allows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graph.errors import ClientError


class Scope(StrEnum):
    """What a token can allow. An operator reads every account, and cancels in every account with orders:cancel."""

    READ = "orders:read"
    PLACE = "orders:place"
    CANCEL = "orders:cancel"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """The bearer of a valid token.

    `key_id` names the key that signed the token: the RFC 7638 thumbprint of a public key, or the digest of a secret.
    `issued_at` is the token's `iat`; of a token without one, the moment at which this process saw it first, which says
    nothing about how old it is.
    """

    account_id: str
    scopes: frozenset[str]
    token_expires_at: datetime
    issued_at: datetime
    is_issue_time_known: bool = True
    token_id: str | None = None
    key_id: str | None = None

    @property
    def is_operator(self) -> bool:
        """Whether every account is visible."""
        return Scope.OPERATOR in self.scopes

    @property
    def visible_account_id(self) -> str | None:
        """The account filter of every call: the own account, or None (every account) for operators."""
        return None if self.is_operator else self.account_id

    def require(self, scope: Scope) -> None:
        """Raise the FORBIDDEN error when the token does not allow that. An operator may always read."""
        if scope in self.scopes or (scope is Scope.READ and self.is_operator):
            return
        raise ClientError(code="FORBIDDEN", message=f"The token lacks the scope {scope}.")
