"""The trade's terms as values: sides, types, decimals, ISINs and the ids that clients choose.

Independent of orders; every value is exact and in the form of the public contract.
"""

import re
from dataclasses import dataclass, replace
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Underflow
from enum import StrEnum
from functools import lru_cache

from stdnum import isin as isin_number

from domain.model.frozen import frozen

DECIMAL_DIGITS = 18
"""Digits that a quantity or price may have on each side of the point (NUMERIC(36, 18) in the database)."""
AVERAGE_PRICE_DIGITS = 18
CLIENT_ORDER_ID_MAX_CHARACTERS = 48
ISINS_CACHED_MAX = 10_000

_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._:-]{1,48}", re.ASCII)
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.ASCII)

# Sums of products of 36-digit numbers stay far below 200 digits: an inexact result raises.
EXACT = Context(prec=200, traps=[Clamped, Inexact, InvalidOperation, Overflow, Underflow])
_ROUNDING = Context(prec=80)
_AVERAGE_PRICE_STEP = Decimal(1).scaleb(-AVERAGE_PRICE_DIGITS)
ZERO = Decimal(0)


class Side(StrEnum):
    """Which way an order trades (FIX tag 54)."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How an order is priced (FIX tag 40)."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long an order works (FIX tag 59)."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class ReasonSource(StrEnum):
    """The cause of a status: the venue, this system, the account's own request, or an operator's decision."""

    VENUE = "VENUE"
    SYSTEM = "SYSTEM"
    ACCOUNT = "ACCOUNT"
    OPERATOR = "OPERATOR"


REASON_CODE_MAX_CHARACTERS = 128
REASON_MESSAGE_MAX_CHARACTERS = 2_000
UNNAMED = "UNNAMED"
"""A reason's code when the venue gives an empty one."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reason:
    """Why an order is in doubt, rejected, failed, canceled or expired."""

    source: ReasonSource
    code: str
    message: str


def storable(text: str, *, max_characters: int) -> str:
    """Return the text as a database can keep it: cut to the length, without NUL and lone surrogates."""
    return text[:max_characters].replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def storable_reason(reason: Reason) -> Reason:
    """Return the reason as it is stored: a venue may send any text, and a repeat must equal the stored one."""
    return Reason(
        source=reason.source,
        code=storable(reason.code, max_characters=REASON_CODE_MAX_CHARACTERS) or UNNAMED,
        message=storable(reason.message, max_characters=REASON_MESSAGE_MAX_CHARACTERS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What is traded. `tick_size` and `lot_size` are the steps of limit prices and quantities."""

    isin: str
    symbol: str
    name: str
    currency: str
    tick_size: Decimal
    lot_size: Decimal
    tradable: bool


@frozen
class Terms:
    """The terms of the client. They never change after the order is stored."""

    client_order_id: str
    isin: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None

    def asks_the_same_as(self, other: "Terms") -> bool:
        """Return whether a client requests the same with both. The symbol is ours: a renamed listing changes
        nothing.
        """
        return replace(self, symbol="") == replace(other, symbol="")

    def is_at_venue_as(self, found: "Terms") -> bool:
        """Whether the venue's order is this one. It names instruments by symbol, and the order by an id of ours."""
        return self == replace(found, client_order_id=self.client_order_id, isin=self.isin)


def parse_decimal(text: str) -> Decimal:
    """Read the contract's Decimal: at most 18 digits on each side of the point, ASCII, no exponent.

    Raises ValueError for anything else; NaN, Infinity, `1e9` and `1_000` among it.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("expected a decimal such as 12.50, at most 18 digits on each side of the point")
    return Decimal(text)


def format_decimal(value: Decimal) -> str:
    """Write a finite decimal without exponent and without trailing zeros, so that equal values read alike."""
    if not value:
        return "0"
    # A third of the cost of formatting, and prices and quantities hardly ever have an exponent.
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_isin(text: str) -> bool:
    """Return whether the text is an ISO 6166 number with a correct check digit."""
    return _ISIN.fullmatch(text) is not None and _has_its_check_digit(text)


@lru_cache(maxsize=ISINS_CACHED_MAX)
def _has_its_check_digit(isin: str) -> bool:
    """Return whether the check digit is correct; cached, since computing it is a tenth of storing an order."""
    return bool(isin_number.is_valid(isin))


def is_client_order_id(text: str) -> bool:
    """Return whether the text may be a client order id: 1 to 48 characters of A-Z a-z 0-9 . _ : -."""
    return _CLIENT_ORDER_ID.fullmatch(text) is not None


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Return whether the value is an exact multiple of the step."""
    return EXACT.remainder(value, step) == ZERO


def average_price(*, notional: Decimal, quantity: Decimal) -> Decimal | None:
    """Return the average price of the quantity, to 18 digits after the point; None without a fill."""
    if quantity <= ZERO:
        return None
    quotient = _ROUNDING.divide(notional, quantity)
    return quotient.quantize(_AVERAGE_PRICE_STEP, context=_ROUNDING)
