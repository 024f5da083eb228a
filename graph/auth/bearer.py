"""The bearer: the accounts of a verified token and its scopes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.model.accounts import VisibleAccounts, is_visible
from graph.errors import ClientError, ErrorCode

TOKEN_LEEWAY = timedelta(seconds=5)
"""How far the issuer's clock and ours may differ: for so long a token is taken before it begins and after its end."""


class Scope(StrEnum):
    """What a token can allow. `operator` is the sum of the narrow scopes of operators."""

    READ = "orders:read"
    PLACE = "orders:place"
    CANCEL = "orders:cancel"
    OPERATOR_READ = "operator:read"
    OPERATOR_HALT = "operator:halt"
    OPERATOR_LIMITS = "operator:limits"
    OPERATOR_RESOLVE = "operator:resolve"
    OPERATOR = "operator"


OPERATOR_SCOPES = frozenset(
    {Scope.OPERATOR_READ, Scope.OPERATOR_HALT, Scope.OPERATOR_LIMITS, Scope.OPERATOR_RESOLVE, Scope.OPERATOR}
)


def is_operator(scopes: frozenset[str]) -> bool:
    """Return whether the scopes include one of an operator."""
    return not OPERATOR_SCOPES.isdisjoint(scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """The bearer of a valid token. `subject` is its subject, `account_ids` its accounts.

    `key_id` names the key that signed the token: the RFC 7638 thumbprint of a public key, or the digest of a secret.
    `issued_at` is the token's `iat`; for a token without one, its first use in this process, which does not show its
    age.
    """

    subject: str
    account_ids: tuple[str, ...]
    scopes: frozenset[str]
    token_expires_at: datetime
    issued_at: datetime
    is_issue_time_known: bool = True
    token_id: str | None = None
    key_id: str | None = None

    @property
    def accepted_until(self) -> datetime:
        """When the token is no longer taken: over HTTP, where PyJWT counts whole seconds, and by an open socket."""
        return self.token_expires_at.replace(microsecond=0) + TOKEN_LEEWAY

    def allows(self, scope: Scope) -> bool:
        """Return whether the token allows that: by itself, as a part of `operator`, or because it may read all."""
        if scope in self.scopes or (scope in OPERATOR_SCOPES and Scope.OPERATOR in self.scopes):
            return True
        return scope is Scope.READ and self.allows(Scope.OPERATOR_READ)

    def require(self, scope: Scope) -> None:
        """Raise the FORBIDDEN error when the token does not allow that."""
        if not self.allows(scope):
            raise ClientError(code=ErrorCode.FORBIDDEN, message=f"The token lacks the scope {scope}.")

    @property
    def visible_accounts(self) -> VisibleAccounts:
        """Return the account filter of every read: the token's accounts, or None (every account) for operators who
        read.
        """
        return None if self.allows(Scope.OPERATOR_READ) else self.account_ids

    @property
    def cancelable_accounts(self) -> VisibleAccounts:
        """Return the account filter of a cancel: the token's accounts, or None (every account) for operators who
        halt.
        """
        return None if self.allows(Scope.OPERATOR_HALT) else self.account_ids

    def own_account(self, asked: str | None = None) -> str:
        """Return the account that the operation acts for: the given one, else the token's only one.

        Raises the FORBIDDEN error for one that the token does not name, whether or not it exists, and ACCOUNT_REQUIRED
        when none is given and the token does not name exactly one.
        """
        return self._account(asked, among=self.account_ids)

    def visible_account(self, asked: str | None = None) -> str:
        """Return the account that is read, by the same rule; operators who read may name any."""
        return self._account(asked, among=self.visible_accounts)

    @property
    def limit_key(self) -> str:
        """Return the key of the rates, slots and sockets: the account's, or the subject's for several accounts.

        A token must not have the rates of each of its accounts, nor exhaust those of a shared account. No account has
        this name: a tab is not printable.
        """
        return self.account_ids[0] if len(self.account_ids) == 1 else f"subject\t{self.subject}"

    def _account(self, asked: str | None, *, among: VisibleAccounts) -> str:
        if asked is not None:
            if not is_visible(asked, among):
                raise ClientError(code=ErrorCode.FORBIDDEN, message="The token does not name this account.")
            return asked
        if len(self.account_ids) != 1:
            named = f"{len(self.account_ids)} accounts" if self.account_ids else "no account"
            message = f"The token names {named}: give accountId, or read viewer {{ accounts }}."
            raise ClientError(code=ErrorCode.ACCOUNT_REQUIRED, message=message)
        return self.account_ids[0]
