"""A cursor is valid for one kind of list."""

import pytest

from graph.errors import ClientError
from graph.schema.cursors import read_account_cursor, read_action_cursor, write_account_cursor, write_action_cursor


def test_a_cursor_of_actions_is_not_one_of_accounts_and_vice_versa() -> None:
    with pytest.raises(ClientError):
        read_account_cursor(write_action_cursor(5))
    with pytest.raises(ClientError):
        read_action_cursor(write_account_cursor("5"))
