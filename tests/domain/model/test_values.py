"""Values: exact, and in the very form of the public contract."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.values import (
    EXACT,
    average_price,
    format_decimal,
    is_client_order_id,
    is_isin,
    is_multiple,
    parse_decimal,
)

contract_decimals = st.from_regex(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", fullmatch=True, alphabet="-.0123456789")


@pytest.mark.parametrize("text", ["US0378331005", "DE0007164600", "GB0002634946"])
def test_an_isin_with_a_right_check_digit_is_one(text: str) -> None:
    assert is_isin(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "US0378331006",  # the check digit is wrong
        "us0378331005",
        " US0378331005",
        "US0378331005\n",
        "US037833100",
        "US03783310055",
        "US-0378331005",
        "US037833100５",  # noqa: RUF001 - a digit, but not an ASCII one
    ],
)
def test_anything_else_is_no_isin(text: str) -> None:
    assert not is_isin(text)


@pytest.mark.parametrize("text", ["a", "A-1_b:2.c", "x" * 48, "0192f0c1-7c1e-7000-8000-000000000000"])
def test_a_client_order_id_is_1_to_48_plain_characters(text: str) -> None:
    assert is_client_order_id(text)


@pytest.mark.parametrize("text", ["", "x" * 49, "a b", "a/b", "é", "a\n", "\x00", "１"])  # noqa: RUF001 - the wide 1 is the point
def test_other_client_order_ids_are_refused(text: str) -> None:
    assert not is_client_order_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "1e9",
        "NaN",
        "Infinity",
        "-Infinity",
        "1_000",
        "+1",
        ".5",
        "5.",
        "",
        "-",
        "1,5",
        " 1",
        "1\n",
        "٣",
        "1" * 19,
        "1." * 9,
    ],
)
def test_a_decimal_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal"):
        parse_decimal(text)


@given(contract_decimals)
def test_a_decimal_keeps_its_exact_value_both_ways(text: str) -> None:
    value = parse_decimal(text)

    again = parse_decimal(format_decimal(value))

    assert Fraction(again) == Fraction(value) == Fraction(text)


@given(contract_decimals, st.integers(min_value=0, max_value=5))
def test_equal_decimals_are_written_alike(text: str, zeros: int) -> None:
    value = parse_decimal(text)
    longer = Decimal(f"{value:f}" + ("" if "." in f"{value:f}" else ".") + "0" * zeros)

    assert format_decimal(longer) == format_decimal(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+3", "1000"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("1.500", "1.5"),
        ("1E-18", "0.000000000000000001"),
        ("100", "100"),
        ("0E-18", "0"),
        ("-1E-7", "-0.0000001"),
        ("1.50E+1", "15"),
        ("2E+0", "2"),
    ],
)
def test_a_decimal_is_written_without_exponent_or_idle_zeros(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


@given(st.integers(min_value=-(10**30), max_value=10**30), st.integers(min_value=1, max_value=10**6))
def test_a_multiple_has_no_remainder(units: int, step: int) -> None:
    tick = Decimal(step).scaleb(-6)
    value = EXACT.multiply(Decimal(units), tick)

    assert is_multiple(value, tick)
    assert not is_multiple(EXACT.add(value, Decimal("0.0000005")), tick)


def test_what_would_not_be_exact_raises() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


def test_nothing_filled_has_no_average_price() -> None:
    assert average_price(notional=Decimal(0), quantity=Decimal(0)) is None


@given(
    st.integers(min_value=0, max_value=10**60).map(lambda n: Decimal(n).scaleb(-36, EXACT)),
    st.integers(min_value=1, max_value=10**36).map(lambda n: Decimal(n).scaleb(-18, EXACT)),
)
def test_the_average_price_is_the_quotient_to_18_digits(notional: Decimal, quantity: Decimal) -> None:
    average = average_price(notional=notional, quantity=quantity)

    assert average is not None
    assert abs(Fraction(average) - Fraction(notional) / Fraction(quantity)) <= Fraction(1, 2 * 10**18)
