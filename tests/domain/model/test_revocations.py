"""What an operator may revoke, and what two revocations of the same tokens are together."""

from datetime import timedelta

import pytest

from domain.model.errors import IssueCode
from domain.model.revocations import RevokedTokens, RevokeTokens, find_issues
from tests.support.fakes.clock import MIDNIGHT

SECOND = timedelta(seconds=1)
REQUIRED, NOT_ALLOWED, OUT_OF_RANGE = IssueCode.REQUIRED, IssueCode.NOT_ALLOWED, IssueCode.OUT_OF_RANGE


def issues_of(**given: object) -> set[tuple[str, IssueCode]]:
    """Return the invalid fields, each with its code."""
    asked = RevokeTokens(**{"reason": "stolen", **given})  # type: ignore[arg-type]  # values of any kind are the test
    return {(issue.path[-1], issue.code) for issue in find_issues(asked, now=MIDNIGHT)}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"token_id": "t-1"}, set()),
        ({"account_id": "alice"}, set()),
        ({"account_id": "alice", "issued_before": MIDNIGHT}, set()),
        ({"account_id": "alice", "issued_before": MIDNIGHT + 4 * SECOND}, set()),
        ({"account_id": " of before there were rules "}, set()),
        ({}, {("tokenId", REQUIRED), ("accountId", REQUIRED)}),
        ({"token_id": "t-1", "account_id": "a"}, {("tokenId", NOT_ALLOWED), ("accountId", NOT_ALLOWED)}),
        ({"token_id": "t-1", "issued_before": MIDNIGHT}, {("issuedBefore", NOT_ALLOWED)}),
        ({"account_id": "alice", "issued_before": MIDNIGHT + 6 * SECOND}, {("issuedBefore", OUT_OF_RANGE)}),
        ({"token_id": ""}, {("tokenId", OUT_OF_RANGE)}),
        ({"token_id": "t" * 257}, {("tokenId", OUT_OF_RANGE)}),
        ({"token_id": "t\x00"}, {("tokenId", OUT_OF_RANGE)}),
        ({"account_id": ""}, {("accountId", OUT_OF_RANGE)}),
        ({"account_id": "a" * 129}, {("accountId", OUT_OF_RANGE)}),
        ({"token_id": "t-1", "reason": " "}, {("reason", OUT_OF_RANGE)}),
        ({"token_id": "t-1", "reason": "r" * 501}, {("reason", OUT_OF_RANGE)}),
        ({"token_id": "", "reason": "a\nb"}, {("tokenId", OUT_OF_RANGE), ("reason", OUT_OF_RANGE)}),
    ],
)
def test_everything_that_is_wrong_with_a_revocation_is_found(
    given: dict[str, object], wrong: set[tuple[str, IssueCode]]
) -> None:
    assert issues_of(**given) == wrong


def test_two_revocations_of_an_account_revoke_what_either_of_them_does() -> None:
    early = RevokedTokens(account_id="alice", issued_before=MIDNIGHT, expires_at=MIDNIGHT + 9 * SECOND)
    late = RevokedTokens(account_id="alice", issued_before=MIDNIGHT + SECOND, expires_at=MIDNIGHT + 5 * SECOND)

    both = RevokedTokens(account_id="alice", issued_before=MIDNIGHT + SECOND, expires_at=MIDNIGHT + 9 * SECOND)
    assert early.widened_by(late) == late.widened_by(early) == both
