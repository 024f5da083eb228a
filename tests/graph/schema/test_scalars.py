"""Decimal, DateTime and ISIN: what is read, what is refused, what is written."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from domain.model.values import format_decimal
from graph.errors import ClientError
from graph.schema.scalars import GivenDecimal, GivenIsin, read_date_time, read_decimal, read_isin, write_date_time


@given(st.decimals(min_value=-(10**18) + 1, max_value=10**18 - 1, places=18, allow_nan=False, allow_infinity=False))
def test_every_decimal_in_range_is_read_as_what_is_written(value: Decimal) -> None:
    assert read_decimal(format_decimal(value)) == GivenDecimal(value=value)


@pytest.mark.parametrize(
    "text", ["1e3", "NaN", "+1", ".5", "5.", "1,5", "0x10", "1" * 19, "1." + "1" * 19, "\uff11", "1\n"]
)
def test_what_is_no_decimal_is_marked_as_malformed(text: str) -> None:
    assert read_decimal(text).value is None


@pytest.mark.parametrize("value", [1, 1.5, True, None, [], {}, float("nan")])
def test_only_a_string_can_be_a_decimal(value: object) -> None:
    assert read_decimal(value).value is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_is_read_as_what_is_written(moment: datetime) -> None:
    assert read_date_time(write_date_time(moment)) == moment


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_is_written_in_one_form(moment: datetime) -> None:
    assert write_date_time(moment) == moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def test_a_moment_is_written_in_utc_with_six_digits() -> None:
    summer_time = timezone(timedelta(hours=2))

    assert write_date_time(datetime(2026, 7, 1, 14, 0, 56, tzinfo=summer_time)) == "2026-07-01T12:00:56.000000Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20t12:00:00.5z", datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T14:00:00.123456789+02:00", datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_any_rfc_3339_form_of_a_moment_is_read(text: str, expected: datetime) -> None:
    assert read_date_time(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20",
        "2026-11-20T12:00:00",
        "2026-11-20 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "0001-01-01T00:00:00+01:00",
        5,
        None,
    ],
)
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(GraphQLError):
        read_date_time(value)


def test_an_isin_is_checked_only_where_it_is_not_checked_elsewhere() -> None:
    assert read_isin("US0378331005").checked() == "US0378331005"
    assert read_isin("US0378331006") == GivenIsin(text="US0378331006")
    with pytest.raises(ClientError):
        read_isin("US0378331006").checked()


def test_a_long_text_is_cut_before_it_travels_further() -> None:
    assert len(read_isin("A" * 10_000).text) == 64
