"""Which accounts a token names: one claim, a string for one account or a list of strings for several."""

from collections.abc import Mapping

from domain.model.accounts import TOKEN_ACCOUNTS_MAX, is_account_id


def account_ids_of(claims: Mapping[str, object], claim: str, *, may_be_none: bool) -> tuple[str, ...]:
    """Return the accounts, each once, in the token's order.

    `may_be_none`: also of a token without the claim, as an operator's may be, or with an empty list. Raises ValueError
    for everything else, one wrong name among good ones too: an invalid claim is not used in part.
    """
    named = claims.get(claim, [])
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or len(listed) > TOKEN_ACCOUNTS_MAX:
        raise ValueError(f"the claim {claim} is neither a string nor a list of {TOKEN_ACCOUNTS_MAX} strings at most")
    if not all(isinstance(one, str) and is_account_id(one) for one in listed):
        raise ValueError(f"the claim {claim} holds what is no account's id")
    if not listed and not may_be_none:
        raise ValueError(f"the claim {claim} names no account")
    return tuple(dict.fromkeys(listed))
