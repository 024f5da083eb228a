"""One execution of an order, with the busts and corrections that the venue may send for it later.

What an execution contributes to its order is a function of everything known about it, so the order in which a fill,
its correction and its bust arrive does not matter.
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


@frozen
class Correction:
    """A later statement of the venue on what an execution really was. The newest one holds."""

    trade: Trade
    corrected_at: datetime


@frozen
class Execution:
    """An execution as the facts about it stand.

    `cumulative_quantity` is the order's filled quantity after it, by the venue's count: the second way to recognise
    an execution, for a venue whose REST history and stream name it differently.
    `is_booked`: an operator booked it, under an id of our own; `booked_as` is the venue's id for it, where the operator
    knew that. Once the venue lists the execution itself, the booking is busted and the venue's counts.
    """

    id: UUID
    venue_execution_id: str
    cumulative_quantity: Decimal | None
    filled: Trade | None = None
    correction: Correction | None = None
    is_busted: bool = False
    executed_at: datetime
    received_at: datetime
    is_booked: bool = False
    booked_as: str | None = None

    @property
    def is_open_booking(self) -> bool:
        """Whether it counts only because an operator booked it: the venue may still list it."""
        return self.is_booked and not self.is_busted

    @property
    def is_booked_no_more(self) -> bool:
        """Whether its booking was taken back, or the venue lists it under its own id."""
        return self.is_booked and self.is_busted

    @property
    def trade(self) -> Trade:
        """What the execution counts for now: nothing when busted or not yet seen, else its newest statement."""
        if self.is_busted:
            return Trade(quantity=ZERO, price=ZERO)
        if self.correction is not None:
            return self.correction.trade
        return self.filled or Trade(quantity=ZERO, price=ZERO)

    @property
    def notional(self) -> Decimal:
        """Quantity times price, exact."""
        return EXACT.multiply(self.trade.quantity, self.trade.price)


def with_fill(
    execution: Execution, trade: Trade, *, cumulative_quantity: Decimal | None, executed_at: datetime
) -> Execution:
    """The execution, known only by its amendment so far, with its fill, its moment and the order's total after it."""
    return replace(execution, filled=trade, cumulative_quantity=cumulative_quantity, executed_at=executed_at)


def with_correction(execution: Execution, correction: Correction) -> Execution:
    """The execution corrected, unless a newer correction is known (of two at one moment the larger one holds)."""
    known = execution.correction
    if known is not None and _rank(known) >= _rank(correction):
        return execution
    return replace(execution, correction=correction)


def with_bust(execution: Execution) -> Execution:
    """Return the execution busted. A bust is permanent."""
    return execution if execution.is_busted else replace(execution, is_busted=True)


def _rank(correction: Correction) -> tuple[datetime, Decimal, Decimal]:
    return (correction.corrected_at, correction.trade.quantity, correction.trade.price)
