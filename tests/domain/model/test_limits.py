"""Pre-trade limits: which order each of them denies, with which message."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.limits import (
    NO_LIMITS,
    AccountLimits,
    AccountLoad,
    LastPrice,
    LimitCode,
    check_load,
    check_terms,
    deny_halted,
    find_invalid_limits,
)
from domain.model.values import OrderType, Terms
from tests.support.examples import ISIN, at, some_terms

SIZES = st.decimals(min_value="0.000001", max_value="999999999", places=6)
PRICE = LastPrice(isin=ISIN, price=Decimal(100), at=at(0))
ONE_LIMIT: Mapping[str, Callable[[Decimal], AccountLimits]] = {
    "quantity": lambda most: AccountLimits(max_quantity=most),
    "notional": lambda most: AccountLimits(max_notional=most),
    "collar": lambda most: AccountLimits(price_collar_percent=most),
}


def terms(*, quantity: str | Decimal = "10", price: str | Decimal | None = "100") -> Terms:
    """Return a limit order, or a market order without a price."""
    limit_price = None if price is None else Decimal(price)
    order_type = OrderType.MARKET if price is None else OrderType.LIMIT
    return replace(some_terms(), quantity=Decimal(quantity), limit_price=limit_price, type=order_type)


@pytest.mark.parametrize(
    ("limits", "asked", "code", "said"),
    [
        (AccountLimits(max_quantity=Decimal(9)), terms(), LimitCode.MAX_QUANTITY, "10 is more than 9"),
        (AccountLimits(max_notional=Decimal(999)), terms(), LimitCode.MAX_NOTIONAL, "1000 is more than 999"),
        (AccountLimits(max_notional=Decimal(999)), terms(price=None), LimitCode.MAX_NOTIONAL, "1000 is more than 999"),
        (AccountLimits(price_collar_percent=Decimal(5)), terms(price="105.01"), LimitCode.PRICE_COLLAR, "5 % from"),
        (AccountLimits(price_collar_percent=Decimal(5)), terms(price="94.99"), LimitCode.PRICE_COLLAR, "which is 100"),
    ],
)
def test_an_order_beyond_a_limit_is_denied_with_the_limits_name_and_value(
    limits: AccountLimits, asked: Terms, code: LimitCode, said: str
) -> None:
    denial = check_terms(asked, limits=limits, last_price=PRICE)

    assert denial is not None
    assert denial.code is code
    assert said in denial.message


@pytest.mark.parametrize(
    ("limits", "asked"),
    [
        (AccountLimits(max_quantity=Decimal(10)), terms()),
        (AccountLimits(max_notional=Decimal(1000)), terms()),
        (AccountLimits(max_notional=Decimal(1000)), terms(price=None)),
        (AccountLimits(price_collar_percent=Decimal(5)), terms(price="105")),
        (AccountLimits(price_collar_percent=Decimal(5)), terms(price="95")),
        (AccountLimits(price_collar_percent=Decimal(5)), terms(price=None)),
    ],
)
def test_an_order_just_at_its_limit_passes(limits: AccountLimits, asked: Terms) -> None:
    assert check_terms(asked, limits=limits, last_price=PRICE) is None


@pytest.mark.parametrize(
    ("limits", "asked", "code"),
    [
        (AccountLimits(price_collar_percent=Decimal(5)), terms(), LimitCode.PRICE_COLLAR),
        (AccountLimits(max_notional=Decimal(10**9)), terms(price=None), LimitCode.MAX_NOTIONAL),
    ],
)
def test_a_limit_that_needs_a_price_denies_as_long_as_none_is_known(
    limits: AccountLimits, asked: Terms, code: LimitCode
) -> None:
    denial = check_terms(asked, limits=limits, last_price=None)

    assert denial is not None
    assert denial.code is code
    assert "no price" in denial.message
    assert denial.path == ("input", "limitPrice")
    assert denial.use is not None
    assert denial.use.requested is None


def test_a_limit_orders_notional_needs_no_known_price() -> None:
    limits = AccountLimits(max_notional=Decimal(1000))

    assert check_terms(terms(), limits=limits, last_price=None) is None


@given(quantity=SIZES, price=st.none() | SIZES, last=st.none() | SIZES)
def test_without_limits_nothing_is_denied(quantity: Decimal, price: Decimal | None, last: Decimal | None) -> None:
    known = None if last is None else LastPrice(isin=ISIN, price=last, at=at(0))

    assert check_terms(terms(quantity=quantity, price=price), limits=NO_LIMITS, last_price=known) is None
    assert check_load(AccountLoad(open_orders=10**9, accepted_in_second=10**9), limits=NO_LIMITS) is None


@given(price=SIZES, last=SIZES, collar=SIZES)
def test_what_a_denial_shows_as_requested_is_more_than_the_maximum(
    price: Decimal, last: Decimal, collar: Decimal
) -> None:
    known = LastPrice(isin=ISIN, price=last, at=at(0))

    denial = check_terms(terms(price=price), limits=AccountLimits(price_collar_percent=collar), last_price=known)

    if denial is not None and denial.use is not None:
        assert denial.use.requested is not None
        assert denial.use.requested > denial.use.maximum


@given(quantity=SIZES, price=SIZES, last=SIZES, most=SIZES)
def test_each_limit_is_exact(quantity: Decimal, price: Decimal, last: Decimal, most: Decimal) -> None:
    asked, known = terms(quantity=quantity, price=price), LastPrice(isin=ISIN, price=last, at=at(0))

    def is_denied(limit: str) -> bool:
        return check_terms(asked, limits=ONE_LIMIT[limit](most), last_price=known) is not None

    assert is_denied("quantity") == (quantity > most)
    assert is_denied("notional") == (quantity * price > most)
    assert is_denied("collar") == (abs(price - last) * 100 > most * last)


@given(quantity=SIZES, price=st.none() | SIZES, last=st.none() | SIZES, low=SIZES, high=SIZES)
def test_terms_within_a_tighter_limit_are_within_a_wider_one(
    quantity: Decimal, price: Decimal | None, last: Decimal | None, low: Decimal, high: Decimal
) -> None:
    low, high = sorted((low, high))
    known = None if last is None else LastPrice(isin=ISIN, price=last, at=at(0))
    asked = terms(quantity=quantity, price=price)

    for limit in ONE_LIMIT.values():
        tight = check_terms(asked, limits=limit(low), last_price=known)
        wide = check_terms(asked, limits=limit(high), last_price=known)

        assert tight is not None or wide is None


@given(under_way=st.integers(0, 50), most=st.integers(1, 50))
def test_one_more_order_passes_while_fewer_than_the_limit_are_under_way(under_way: int, most: int) -> None:
    load = AccountLoad(open_orders=under_way, accepted_in_second=under_way, free_in=timedelta(milliseconds=250))

    denied_open = check_load(load, limits=AccountLimits(max_open_orders=most))
    denied_rate = check_load(load, limits=AccountLimits(max_orders_per_second=most))

    assert (denied_open is None) == (denied_rate is None) == (under_way < most)
    if denied_open is not None and denied_rate is not None:
        assert (denied_open.code, denied_rate.code) == (LimitCode.MAX_OPEN_ORDERS, LimitCode.ORDER_RATE)
        assert str(most) in denied_open.message
        assert f"{most} orders per second. Try again in 0.250 s" in denied_rate.message


def test_a_halt_is_logged_with_its_account_and_that_cancels_are_open() -> None:
    assert "all accounts" in deny_halted(everywhere=True).message
    assert "this account" in deny_halted(everywhere=False).message
    assert "can be canceled" in deny_halted(everywhere=False).message


def test_a_limit_of_nothing_is_no_limit_but_a_mistake() -> None:
    wrong = find_invalid_limits(
        AccountLimits(
            max_quantity=Decimal(0),
            max_notional=Decimal(-1),
            price_collar_percent=Decimal(0),
            max_open_orders=0,
            max_orders_per_second=1001,
        )
    )

    assert set(wrong) == {
        "max_quantity",
        "max_notional",
        "price_collar_percent",
        "max_open_orders",
        "max_orders_per_second",
    }
    smallest = Decimal("0.000000000000000001")
    right = AccountLimits(
        max_quantity=smallest,
        max_notional=smallest,
        price_collar_percent=smallest,
        max_open_orders=1,
        max_orders_per_second=1000,
    )
    assert find_invalid_limits(right) == {}
