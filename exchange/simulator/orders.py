"""An order at the simulated exchange and its transitions.

Pure: prices, times and ids are arguments. It is independent of the wire format, the stream and the faults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from exchange.simulator.instruments import Instrument
from exchange.simulator.wire_values import decimal_text

ZERO = Decimal(0)
SHARED_DECIMALS_MAX = 50_000


@lru_cache(maxsize=SHARED_DECIMALS_MAX)
def shared(value: Decimal) -> Decimal:
    """One object for equal numbers: a million orders hold few different quantities and prices."""
    return value


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Status(StrEnum):
    """The broker's values of an order's state that the simulated exchange uses."""

    ACCEPTED = "accepted"
    NEW = "new"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REJECTED = "rejected"


OPEN_STATUSES = frozenset({Status.ACCEPTED, Status.NEW, Status.HELD, Status.PARTIALLY_FILLED, Status.PENDING_CANCEL})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderTerms:
    """The terms of the client.

    An external order has `wire_fields`: its fields on the wire in place of the other terms, such as a `type` that is
    not an `OrderType`.
    """

    client_order_id: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    extended_hours: bool = False
    wire_fields: Mapping[str, object] | None = None

    @property
    def is_external(self) -> bool:
        return self.wire_fields is not None

    @property
    def must_execute_at_once(self) -> bool:
        return self.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}

    def is_marketable(self, price: Decimal) -> bool:
        """Whether the order may execute at this price."""
        if self.limit_price is None:
            return True
        return price <= self.limit_price if self.side is Side.BUY else price >= self.limit_price


def restated(
    terms: OrderTerms, *, instrument: Instrument, quantity: Decimal | None, price: Decimal | None
) -> OrderTerms:
    """Return the terms with another instrument, and with the quantity and limit price that are given."""
    wire_fields = terms.wire_fields
    if wire_fields is not None:
        given = {"qty": quantity, "limit_price": price}
        shown = {key: decimal_text(value) for key, value in given.items() if value is not None}
        wire_fields = {**wire_fields, "symbol": instrument.symbol, **shown}
    return replace(
        terms,
        instrument=instrument,
        quantity=terms.quantity if quantity is None else shared(quantity),
        limit_price=terms.limit_price if price is None else shared(price),
        wire_fields=wire_fields,
    )


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """An accepted order. Look-ups do not return it before `visible_at`; `fills_left` counts the planned executions.

    The legs of a bracket are separate orders with a `parent`.
    """

    id: str
    terms: OrderTerms
    submitted_at: datetime
    visible_at: datetime
    updated_at: datetime
    fills_left: int
    replaces: str | None = None
    status: Status = Status.ACCEPTED
    filled_quantity: Decimal = ZERO
    notional: Decimal = ZERO
    filled_at: datetime | None = None
    ended_at: datetime | None = None
    replaced_by: str | None = None
    parent: "Order | None" = None
    legs: tuple["Order", ...] = field(default=(), repr=False)
    is_forgotten: bool = False
    is_scheduled: bool = field(default=False, repr=False)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES and not self.is_forgotten

    def is_visible(self, *, now: datetime) -> bool:
        """Return whether look-ups return the order. One that was never hidden is returned after the clock is set
        back as well.
        """
        return self.visible_at <= max(now, self.submitted_at)

    @property
    def leaves_quantity(self) -> Decimal:
        return max(self.terms.quantity - self.filled_quantity, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        return self.notional / self.filled_quantity if self.filled_quantity else None

    def start_working(self, *, at: datetime) -> None:
        self.status = Status.NEW
        self.updated_at = at

    def hold(self, *, at: datetime) -> None:
        self.status = Status.HELD
        self.updated_at = at

    def fill(self, *, quantity: Decimal, price: Decimal, at: datetime) -> None:
        """Count one execution. A fill of an order that has ended counts too and does not change its end."""
        self.filled_quantity = shared(self.filled_quantity + quantity)
        self.notional += quantity * price
        self.updated_at = at
        if self.filled_quantity >= self.terms.quantity:
            self.status = Status.FILLED
            self.filled_at = at
        elif self.status in {Status.ACCEPTED, Status.NEW, Status.HELD}:
            self.status = Status.PARTIALLY_FILLED

    def revise(self, *, quantity_change: Decimal, notional_change: Decimal, at: datetime) -> None:
        """Count the bust or correction of an execution. It does not reopen an ended order."""
        self.filled_quantity += quantity_change
        self.notional += notional_change
        self.updated_at = at

    def ask_cancel(self, *, at: datetime) -> None:
        self.status = Status.PENDING_CANCEL
        self.updated_at = at

    def refuse_cancel(self, *, at: datetime) -> None:
        """Put an order whose cancel request was pending back to work."""
        self.status = Status.PARTIALLY_FILLED if self.filled_quantity else Status.NEW
        self.updated_at = at

    def restate(self, terms: OrderTerms, *, at: datetime) -> None:
        """Change the terms; an order without a remainder is filled."""
        self.terms = terms
        self.updated_at = at
        if self.filled_quantity >= terms.quantity:
            self.status = Status.FILLED
            self.filled_at = at

    def end(self, status: Status, *, at: datetime) -> None:
        self.status = status
        self.ended_at = at
        self.updated_at = at


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """One execution. The cumulative and position quantities are those right after it.

    A bust or correction has its own id, and `id` is the newest one. `is_omitted`: lists return it only when requested
    by its order.
    """

    id: str
    order: Order
    quantity: Decimal
    price: Decimal
    at: datetime
    cumulative_quantity: Decimal
    position_quantity: Decimal
    is_busted: bool = False
    is_omitted: bool = False

    @property
    def leaves_quantity(self) -> Decimal:
        return max(self.order.terms.quantity - self.cumulative_quantity, ZERO)
