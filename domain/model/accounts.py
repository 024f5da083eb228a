"""The ids of accounts: their form, and which ones a reader may see.

The form is what every table can store, and no setting widens it. The rule of an installation (`ACCOUNT_PATTERN`) is
narrower: it defines under which ids orders, halts and limits may be created.
"""

import re

from domain.model.frozen import frozen

ACCOUNT_ID_MAX_CHARACTERS = 128
TOKEN_ACCOUNTS_MAX = 100
"""How many accounts one token may name."""
ACCOUNT_PATTERN = r"[!-~]([ -~]*[!-~])?"
"""Visible ASCII, with blanks inside but not at the ends: two ids that look alike in a log are the same."""

VisibleAccounts = tuple[str, ...] | None
"""Whose orders somebody sees; None for every account (operators only)."""


@frozen
class AccountRule:
    """The rule of an installation's account ids: a regular expression for the whole id.

    Raises ValueError for a pattern that is not one. Only ids from a signed token or from an operator are matched with
    it, and none of more than ACCOUNT_ID_MAX_CHARACTERS: that bounds what a slow pattern can cost.
    """

    pattern: str = ACCOUNT_PATTERN

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{self.pattern!r} is not a regular expression: {error}") from error

    def allows(self, account_id: str) -> bool:
        """Return whether the id has the form of an account's id and matches the pattern as a whole."""
        return is_account_id(account_id) and re.fullmatch(self.pattern, account_id) is not None


def is_account_id(text: str) -> bool:
    """Return whether the text has the form of an account's id: 1 to 128 printable characters.

    So no NUL, no line break and no half of a surrogate pair, which no column of ours could hold.
    """
    return 0 < len(text) <= ACCOUNT_ID_MAX_CHARACTERS and text.isprintable()


def is_visible(account_id: str, to: VisibleAccounts) -> bool:
    """Return whether the account is among the readable ones."""
    return to is None or account_id in to
