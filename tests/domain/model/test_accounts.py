"""The ids of accounts: their form, and the rule of an installation."""

import pytest

from domain.model.accounts import AccountRule, is_account_id, is_visible

OF_NO_ACCOUNT = ["", "a\0b", "a\nb", "a\u2028b", "\ud800", "alice\u00a0", "a" * 129, "\t"]
OLD = ["alice ", " alice", " ", "ålice", "例"]
GOOD = ["a", "alice", "desk 7", "a  b", "~!", "a:b/c", "EVERYBODY", "a" * 128, "-", "acc_1", "'; DROP TABLE orders; --"]


@pytest.mark.parametrize("account_id", OF_NO_ACCOUNT)
def test_an_unstorable_id_is_no_account_for_any_pattern(account_id: str) -> None:
    assert not is_account_id(account_id)
    assert not AccountRule(pattern=r"(?s).*").allows(account_id)


@pytest.mark.parametrize("account_id", OLD)
def test_what_looks_like_another_id_has_the_form_of_one_and_begins_nothing(account_id: str) -> None:
    assert is_account_id(account_id)
    assert not AccountRule().allows(account_id)


@pytest.mark.parametrize("account_id", GOOD)
def test_visible_ascii_with_blanks_inside_is_an_account(account_id: str) -> None:
    assert AccountRule().allows(account_id)


def test_a_pattern_is_for_the_whole_id() -> None:
    rule = AccountRule(pattern="desk-[0-9]+|house")

    allowed = [one for one in ("desk-7", "house", "desk-7 ", "adesk-7", "housed", "desk-") if rule.allows(one)]

    assert allowed == ["desk-7", "house"]


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?P<", "a{99999999999999999999}"])
def test_what_is_no_regular_expression_is_no_rule(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        AccountRule(pattern=pattern)


def test_an_account_is_visible_among_the_named_and_to_who_sees_all() -> None:
    assert is_visible("alice", None)
    assert is_visible("alice", ("bob", "alice"))
    assert not is_visible("alice", ("bob",))
    assert not is_visible("alice", ())
