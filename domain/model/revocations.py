"""What can be revoked: one token by its id, or the tokens of an account that were issued before a moment. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.model.errors import InputIssue, IssueCode

TOKEN_ID_MAX_CHARACTERS = 256
"""A token with a longer id is never valid: it could not be revoked by its id."""
ACCOUNT_ID_MAX_CHARACTERS = 128
REASON_MAX_CHARACTERS = 500
CLOCKS_DIFFER_MAX = timedelta(seconds=5)
"""How far ahead of ours the clock of an issuer or of an operator may be."""

_ONE_OF_BOTH = "Give tokenId or accountId, one of both."


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedTokens:
    """Tokens that are refused until none of them can still be valid (`expires_at`).

    Either the token with the id `token_id`, or those of `account_id` that were issued before `issued_before`.
    """

    token_id: str | None = None
    account_id: str | None = None
    issued_before: datetime | None = None
    expires_at: datetime

    def widened_by(self, other: "RevokedTokens") -> "RevokedTokens":
        """Return the union of both for the same token or account: no revoked token becomes valid."""
        moments = [moment for moment in (self.issued_before, other.issued_before) if moment is not None]
        return replace(
            self, issued_before=max(moments, default=None), expires_at=max(self.expires_at, other.expires_at)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What an operator revoked, when and why. `revoked_by` names the operator."""

    tokens: RevokedTokens
    revoked_at: datetime
    revoked_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokens:
    """The command: revoke one token, or those of an account that were issued before a time (None: now)."""

    token_id: str | None = None
    account_id: str | None = None
    issued_before: datetime | None = None
    reason: str


def find_issues(asked: RevokeTokens, *, now: datetime) -> Sequence[InputIssue]:
    """Return everything that is wrong with the command."""
    issues = [*_account_issues(asked)]
    if asked.issued_before is not None:
        if asked.account_id is None:
            issues.append(_issue("issuedBefore", IssueCode.NOT_ALLOWED, "It belongs to accountId."))
        if asked.issued_before > now + CLOCKS_DIFFER_MAX:
            sentence = "It must not be in the future: tokens that do not exist yet cannot be revoked."
            issues.append(_issue("issuedBefore", IssueCode.OUT_OF_RANGE, sentence))
    if not is_printable(asked.reason.strip(), max_characters=REASON_MAX_CHARACTERS):
        issues.append(_issue("reason", IssueCode.OUT_OF_RANGE, _printable(REASON_MAX_CHARACTERS)))
    return issues


def is_printable(text: str, *, max_characters: int) -> bool:
    """Return whether the text has 1 to that number of characters, all of them printable."""
    return 1 <= len(text) <= max_characters and text.isprintable()


def _account_issues(asked: RevokeTokens) -> Sequence[InputIssue]:
    if asked.token_id is None and asked.account_id is None:
        return [_issue(name, IssueCode.REQUIRED, _ONE_OF_BOTH) for name in ("tokenId", "accountId")]
    if asked.token_id is not None and asked.account_id is not None:
        return [_issue(name, IssueCode.NOT_ALLOWED, _ONE_OF_BOTH) for name in ("tokenId", "accountId")]
    issues = []
    if asked.token_id is not None and not is_printable(asked.token_id, max_characters=TOKEN_ID_MAX_CHARACTERS):
        issues.append(_issue("tokenId", IssueCode.OUT_OF_RANGE, _printable(TOKEN_ID_MAX_CHARACTERS)))
    if asked.account_id is not None and not is_printable(asked.account_id, max_characters=ACCOUNT_ID_MAX_CHARACTERS):
        issues.append(_issue("accountId", IssueCode.OUT_OF_RANGE, _printable(ACCOUNT_ID_MAX_CHARACTERS)))
    return issues


def _issue(field: str, code: IssueCode, message: str) -> InputIssue:
    return InputIssue(path=("input", field), code=code, message=message)


def _printable(max_characters: int) -> str:
    return f"It must have 1 to {max_characters} printable characters."
