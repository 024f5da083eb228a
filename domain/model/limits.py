"""Pre-trade limits: the allowed orders of an account, and their number. Pure: it checks, and stores nothing.

Controls of this kind are required by SEC Rule 15c3-5(c)(1) (orders that exceed credit thresholds or appear to be
erroneous) and by MiFID II RTS 6 (Regulation (EU) 2017/589), article 15: price collars, maximum order value, maximum
order volume, and throttles. An order that fails one is denied before it is stored.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal
from enum import StrEnum

from domain.model.frozen import frozen
from domain.model.values import EXACT, ZERO, Terms, format_decimal

ORDERS_PER_SECOND_MAX = 1_000
"""The largest rate that a limit can name; the moment of every order of the last second is kept with the account."""
OPEN_ORDERS_MAX = 2**31 - 1
HUNDRED = Decimal(100)
PERCENT_STEP = Decimal("0.000001")
_ROUNDED_UP = Context(prec=EXACT.prec, rounding=ROUND_CEILING)
QUANTITY_PATH = ("input", "quantity")
LIMIT_PRICE_PATH = ("input", "limitPrice")
DECIMAL_LIMIT_NAMES = ("max_quantity", "max_notional", "price_collar_percent")
LIMIT_NAMES = (*DECIMAL_LIMIT_NAMES, "max_open_orders", "max_orders_per_second")


class LimitCode(StrEnum):
    """Why an order is denied. Stable: clients may switch over it."""

    MAX_QUANTITY = "MAX_QUANTITY"
    MAX_NOTIONAL = "MAX_NOTIONAL"
    PRICE_COLLAR = "PRICE_COLLAR"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    ORDER_RATE = "ORDER_RATE"
    TRADING_HALTED = "TRADING_HALTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """The limits of an account; None where there is none.

    `account_id` is None for the defaults, which apply to every account without its own limits. `max_notional` is in the
    instrument's currency; `price_collar_percent` is the highest distance of a limit price from the last known price, in
    both directions. `set_at` distinguishes two settings: it is None until limits are set.
    """

    account_id: str | None = None
    max_quantity: Decimal | None = None
    max_notional: Decimal | None = None
    price_collar_percent: Decimal | None = None
    max_open_orders: int | None = None
    max_orders_per_second: int | None = None
    set_at: datetime | None = None
    set_by: str | None = None

    @property
    def need_a_price(self) -> bool:
        """Return whether checking an order requires the instrument's last known price."""
        return self.max_notional is not None or self.price_collar_percent is not None

    @property
    def limit_nothing(self) -> bool:
        """Whether they name no limit at all."""
        return all(getattr(self, name) is None for name in LIMIT_NAMES)

    @property
    def bound_the_load(self) -> bool:
        """Return whether they bound the account's load, so that its orders are stored one after the other."""
        return self.max_open_orders is not None or self.max_orders_per_second is not None


NO_LIMITS = AccountLimits()


@frozen
class LastPrice:
    """The price of an instrument's newest execution that we recorded, or one that an operator has set."""

    isin: str
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLoad:
    """The load of an account before one more order.

    `accepted_in_second` orders were stored in the last second; after `free_in` the oldest of them is a second old.
    """

    open_orders: int = 0
    accepted_in_second: int = 0
    free_in: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """How far a limit goes, all in its own unit. `used`: what the account's other orders take of it; None for a limit
    of each order. `requested`: what one more order takes; None where that is not known."""

    maximum: Decimal
    used: Decimal | None = None
    requested: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an order is not taken: the name of the limit, and a sentence with its value. `path` leads to the field of
    the input that breaks it; None where that is no single one."""

    code: LimitCode
    message: str
    use: LimitUse | None = None
    path: tuple[str, ...] | None = None


def check_terms(terms: Terms, *, limits: AccountLimits, last_price: LastPrice | None) -> Denial | None:
    """Return the first limit of one order that the terms violate, or None.

    Without any known price a limit that needs one denies: a control that cannot be applied must not let an order pass.
    That applies to the collar, and to the notional of a market order. A market order has no price: the collar does not
    apply to it, its notional is that at the last known price.
    """
    return (
        _judge_quantity(terms, limits)
        or _judge_notional(terms, limits, last_price)
        or _judge_price(terms, limits, last_price)
    )


def check_load(load: AccountLoad, *, limits: AccountLimits) -> Denial | None:
    """Return the first limit that one more order of the account would violate, or None."""
    if limits.max_open_orders is not None and load.open_orders >= limits.max_open_orders:
        return Denial(
            code=LimitCode.MAX_OPEN_ORDERS,
            message=f"The account has {load.open_orders} open orders, and may have {limits.max_open_orders}.",
            use=_use_of_one(limits.max_open_orders, used=load.open_orders),
        )
    if limits.max_orders_per_second is not None and load.accepted_in_second >= limits.max_orders_per_second:
        wait = max(load.free_in.total_seconds(), 0.0)
        return Denial(
            code=LimitCode.ORDER_RATE,
            message=f"The account may place {limits.max_orders_per_second} orders per second. "
            f"Try again in {wait:.3f} s with the same clientOrderId.",
            use=_use_of_one(limits.max_orders_per_second, used=load.accepted_in_second),
        )
    return None


def deny_halted(*, everywhere: bool) -> Denial:
    """Return the denial for an account for which trading is halted. It does not contain the operators' reason."""
    whom = "all accounts" if everywhere else "this account"
    message = f"Trading is halted for {whom}: nothing new is placed until it is resumed. Orders can be canceled."
    return Denial(code=LimitCode.TRADING_HALTED, message=message)


def find_invalid_limits(limits: AccountLimits) -> dict[str, str]:
    """Return a message for each field with an invalid limit, by the field's name.

    Empty limits are refused: a lost argument must not lift existing limits.
    """
    if limits.limit_nothing:
        return {LIMIT_NAMES[0]: "Name at least one limit. To go back to the defaults, clear the limits."}
    wrong = {}
    for name in DECIMAL_LIMIT_NAMES:
        decimal = getattr(limits, name)
        if decimal is not None and decimal <= ZERO:
            wrong[name] = "A limit is more than zero. To let an account place nothing at all, halt its trading."
    for name, largest in (("max_open_orders", OPEN_ORDERS_MAX), ("max_orders_per_second", ORDERS_PER_SECOND_MAX)):
        count = getattr(limits, name)
        if count is not None and not 1 <= count <= largest:
            wrong[name] = f"This limit is a whole number from 1 to {largest}."
    return wrong


def _use_of_one(maximum: int, *, used: int) -> LimitUse:
    """Return the use of a limit that counts orders, for one more."""
    return LimitUse(maximum=Decimal(maximum), used=Decimal(used), requested=Decimal(1))


def _judge_quantity(terms: Terms, limits: AccountLimits) -> Denial | None:
    most = limits.max_quantity
    if most is None or terms.quantity <= most:
        return None
    return Denial(
        code=LimitCode.MAX_QUANTITY,
        message=f"The quantity {format_decimal(terms.quantity)} is more than {format_decimal(most)}, "
        "the largest of one order.",
        use=LimitUse(maximum=most, requested=terms.quantity),
        path=QUANTITY_PATH,
    )


def _judge_notional(terms: Terms, limits: AccountLimits, last_price: LastPrice | None) -> Denial | None:
    most = limits.max_notional
    if most is None:
        return None
    price = terms.limit_price
    if price is None and last_price is not None:
        price = last_price.price
    if price is None:
        return Denial(
            code=LimitCode.MAX_NOTIONAL,
            message=f"The notional may be {format_decimal(most)}, and that of a market order cannot be told: "
            f"no price of {terms.isin} is known yet. Use a limit price.",
            use=LimitUse(maximum=most),
            path=LIMIT_PRICE_PATH,
        )
    notional = EXACT.multiply(terms.quantity, price)
    if notional <= most:
        return None
    return Denial(
        code=LimitCode.MAX_NOTIONAL,
        message=f"The notional {format_decimal(notional)} is more than {format_decimal(most)}, "
        "the largest of one order.",
        use=LimitUse(maximum=most, requested=notional),
        path=QUANTITY_PATH,
    )


def _judge_price(terms: Terms, limits: AccountLimits, last_price: LastPrice | None) -> Denial | None:
    collar = limits.price_collar_percent
    if collar is None or terms.limit_price is None:
        return None
    allowed = f"The limit price may be {format_decimal(collar)} % from the last known price"
    if last_price is None:
        return Denial(
            code=LimitCode.PRICE_COLLAR,
            message=f"{allowed}, and no price of {terms.isin} is known yet.",
            use=LimitUse(maximum=collar),
            path=LIMIT_PRICE_PATH,
        )
    distance = abs(EXACT.subtract(terms.limit_price, last_price.price))
    if EXACT.multiply(distance, HUNDRED) <= EXACT.multiply(collar, abs(last_price.price)):
        return None
    return Denial(
        code=LimitCode.PRICE_COLLAR,
        message=f"{allowed}, which is {format_decimal(last_price.price)}; "
        f"{format_decimal(terms.limit_price)} is further away.",
        use=LimitUse(maximum=collar, requested=_percent(distance, of=abs(last_price.price))),
        path=LIMIT_PRICE_PATH,
    )


def _percent(part: Decimal, *, of: Decimal) -> Decimal | None:
    """Return the percentage, rounded up so that what is above a limit is shown above it; None of zero."""
    if of == ZERO:
        return None
    return _ROUNDED_UP.quantize(_ROUNDED_UP.divide(EXACT.multiply(part, HUNDRED), of), PERCENT_STEP)
