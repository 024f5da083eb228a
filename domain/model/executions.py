"""One execution of an order, with the busts and corrections that the venue may send for it later, and its ids.

The contribution of an execution to its order is a function of all facts about it, so the order in which a fill, its
correction and its bust arrive does not matter. The venue may know one execution by several ids: each id is stored as a
separate `Execution`, and only one of them counts (see `domain.model.execution_index`).
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.model.frozen import frozen
from domain.model.values import EXACT, ZERO


@frozen
class Trade:
    """How much traded at which price."""

    quantity: Decimal
    price: Decimal


NO_TRADE = Trade(quantity=ZERO, price=ZERO)


@frozen
class Correction:
    """A later statement of the venue about an execution. The newest one counts."""

    trade: Trade
    corrected_at: datetime


@frozen
class Execution:
    """An execution according to the facts about it.

    `cumulative_quantity` is the order's filled quantity after it, by the venue's count: the second way to recognise an
    execution, for a venue whose REST history and stream name it differently. `amended_at` are the times of its busts
    and corrections, by the venue's clock, sorted. `amends` is set for the own id of a bust or correction: the id of the
    amended one. `repeats` is set for another id of an execution that counts already: the id of the one that counts.
    `is_booked`: an operator booked it, under an id of our own; `booked_as` is the venue's id for it, where the operator
    knew that. Once the venue lists the execution itself, the booking is busted and the venue's counts. `venue_order_id`
    is the venue order that it belongs to, if that replaced the first one; None for the first one.
    """

    id: UUID
    venue_execution_id: str
    cumulative_quantity: Decimal | None
    filled: Trade | None = None
    correction: Correction | None = None
    is_busted: bool = False
    executed_at: datetime
    received_at: datetime
    amends: str | None = None
    repeats: str | None = None
    amended_at: tuple[datetime, ...] = ()
    is_booked: bool = False
    booked_as: str | None = None
    venue_order_id: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether this id is the one under which the execution counts."""
        return self.amends is None and self.repeats is None

    @property
    def is_open_booking(self) -> bool:
        """Whether it counts only because an operator booked it: the venue may still list it."""
        return self.is_booked and not self.is_busted

    @property
    def is_booked_no_more(self) -> bool:
        """Return whether its booking was busted, or the venue lists it under its own id."""
        return self.is_booked and self.is_busted

    @property
    def trade(self) -> Trade:
        """Return the counted trade: none when busted, not yet reported, or counted under another id; else its
        newest statement.
        """
        if self.is_busted or not self.is_counted:
            return NO_TRADE
        if self.correction is not None:
            return self.correction.trade
        return self.filled or NO_TRADE

    @property
    def notional(self) -> Decimal:
        """Quantity times price, exact."""
        return EXACT.multiply(self.trade.quantity, self.trade.price)


def with_fill(
    execution: Execution, trade: Trade, *, cumulative_quantity: Decimal | None, executed_at: datetime
) -> Execution:
    """Return the execution, known only by its amendment so far, with its fill, its time and the order's total after
    it."""
    return replace(execution, filled=trade, cumulative_quantity=cumulative_quantity, executed_at=executed_at)


def with_correction(execution: Execution, correction: Correction) -> Execution:
    """Return the execution corrected. The newest correction counts; of two at one time the larger one."""
    return _amended(execution, correction=correction, is_busted=False, amended_at=(correction.corrected_at,))


def with_bust(execution: Execution, *, at: datetime) -> Execution:
    """Return the execution busted. A bust is permanent."""
    return _amended(execution, correction=None, is_busted=True, amended_at=(at,))


def taken_back(booking: Execution) -> Execution:
    """Return the booking as one that no longer counts. It is not an amendment of the venue's: it has no time there."""
    return replace(booking, is_busted=True)


def with_amendments_of(execution: Execution, other: Execution) -> Execution:
    """Return the execution with the bust and the corrections known under another id of it."""
    return _amended(execution, correction=other.correction, is_busted=other.is_busted, amended_at=other.amended_at)


def without_amendments(execution: Execution, *, amends: str) -> Execution:
    """Return the id as that of an amendment: its facts belong to the amended execution."""
    return replace(execution, amends=amends, repeats=None, correction=None, is_busted=False, amended_at=())


def amendment_rank(execution: Execution) -> tuple[bool, tuple[datetime, Decimal, Decimal] | tuple[()]]:
    """Return a key: a bust outranks every correction, and a newer correction an older one."""
    return execution.is_busted, () if execution.correction is None else _rank(execution.correction)


def _amended(
    execution: Execution, *, correction: Correction | None, is_busted: bool, amended_at: tuple[datetime, ...]
) -> Execution:
    newest = max((one for one in (execution.correction, correction) if one is not None), key=_rank, default=None)
    return replace(
        execution,
        correction=newest,
        is_busted=execution.is_busted or is_busted,
        amended_at=tuple(sorted({*execution.amended_at, *amended_at})),
    )


def _rank(correction: Correction) -> tuple[datetime, Decimal, Decimal]:
    return (correction.corrected_at, correction.trade.quantity, correction.trade.price)
