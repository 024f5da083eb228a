"""Cursors: they decode to their values, and other text is not accepted."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.accounts import ACCOUNT_ID_MAX_CHARACTERS, is_account_id
from domain.model.order_query import OrderKey, OrderSort
from graph.errors import ClientError
from graph.schema import cursors

ORDER_ID = UUID(int=7)
READERS: tuple[Callable[[str], object], ...] = (
    lambda text: cursors.read_order_cursor(text, OrderSort.CREATED_DESC),
    cursors.read_execution_cursor,
    cursors.read_history_cursor,
    cursors.read_instrument_cursor,
    cursors.read_stream_cursor,
    cursors.read_account_cursor,
)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.sampled_from(OrderSort))
def test_a_cursor_of_orders_leads_back_to_the_microsecond(at: datetime, order_id: UUID, sort: OrderSort) -> None:
    key = OrderKey(at=at, id=order_id)

    assert cursors.read_order_cursor(cursors.write_key_cursor(key, sort), sort) == key


@given(st.integers(min_value=0, max_value=2**62 // 10))
def test_a_cursor_of_a_stream_leads_back_to_its_sequence(sequence: int) -> None:
    assert cursors.read_stream_cursor(cursors.write_stream_cursor(sequence)) == sequence


@given(st.text(min_size=1, max_size=ACCOUNT_ID_MAX_CHARACTERS).filter(is_account_id))
def test_a_cursor_of_accounts_decodes_to_the_id_with_any_characters(account_id: str) -> None:
    assert cursors.read_account_cursor(cursors.write_account_cursor(account_id)) == account_id


def test_the_cursor_of_the_longest_id_is_still_read() -> None:
    longest = "\U0001f600" * ACCOUNT_ID_MAX_CHARACTERS

    assert cursors.read_account_cursor(cursors.write_account_cursor(longest)) == longest


def test_a_cursor_of_one_sort_is_refused_in_another() -> None:
    cursor = cursors.write_key_cursor(OrderKey(at=datetime.now(UTC), id=ORDER_ID), OrderSort.CREATED_DESC)

    with pytest.raises(ClientError):
        cursors.read_order_cursor(cursor, OrderSort.UPDATED_DESC)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "\u00e4",
        "A" * 10_000,
        encoded(""),
        encoded("o1:CREATED_DESC:1"),
        encoded(f"o1:CREATED_DESC:{10**18 - 1}:{ORDER_ID.hex}"),
        encoded(f"o1:CREATED_DESC:1e3:{ORDER_ID.hex}"),
        encoded("o1:CREATED_DESC:1:xyz"),
        encoded("x1:xyz"),
        encoded("h1:-1"),
        encoded("h1:1_0"),
        encoded(f"h1:{2**31}"),
        encoded("i1:US0378331006"),
        encoded("s1:\u0661"),
        encoded("s2:1"),
    ],
)
def test_an_invalid_cursor_is_refused(read: Callable[[str], object], cursor: str) -> None:
    with pytest.raises(ClientError) as refused:
        read(cursor)

    assert refused.value.code == "BAD_CURSOR"


@given(st.text(max_size=80))
def test_no_text_at_all_brings_a_reader_down(text: str) -> None:
    for read in READERS:
        with pytest.raises(ClientError):
            read(encoded(f"z9:{text}"))
