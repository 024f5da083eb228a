"""The states of an order in the market: it opens, executes slice by slice, stays open, or ends.

Every step is an event: it is written to the journal and, through `publish`, sent to the listener. Everything here runs
on one event loop and never awaits, so each method is one step of the exchange.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial

from exchange.simulator.book import OrderBook
from exchange.simulator.journal import Entry, Journal
from exchange.simulator.matching import Market, Matching, next_slice
from exchange.simulator.orders import Execution, Order, OrderTerms, Status
from exchange.simulator.scheduler import Scheduler

WALK_INTERVAL_SECONDS = 1.0


class Trading:
    """Processes orders from acceptance to their end. `publish` marks withheld events in their entries,
    `note_execution` is called with each new execution.
    """

    def __init__(
        self,
        *,
        book: OrderBook,
        market: Market,
        matching: Matching,
        journal: Journal,
        scheduler: Scheduler,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        publish: Callable[[Entry], None],
    ) -> None:
        self.market = market
        self.matching = matching
        self._book = book
        self._journal = journal
        self._scheduler = scheduler
        self._now = now
        self._new_id = new_id
        self._publish = publish
        self.note_execution: Callable[[Execution], None] = lambda _execution: None
        scheduler.after(WALK_INTERVAL_SECONDS, self._walk)

    def set_matching(self, matching: Matching) -> None:
        """Replace the matching. After a change to auto mode, open orders continue."""
        was_manual, self.matching = self.matching.mode == "manual", matching
        if was_manual and matching.mode == "auto":
            for order in self._book.open_orders():
                if order.status is not Status.ACCEPTED:
                    self._work(order)

    def start_soon(self, order: Order) -> None:
        """Schedule the opening: the answer reports the order as accepted; `new` follows on the stream, as with the
        broker.
        """
        self._scheduler.after(0, partial(self.start, order))

    def start(self, order: Order) -> None:
        """Open an accepted order, or resume one that was open before a restart."""
        # A control may have filled, canceled or removed it already.
        if order.status is Status.ACCEPTED and order.is_open:
            self._start_working(order)
        self._work(order)

    def hold(self, leg: Order) -> None:
        """Hold an accepted leg until its parent is filled."""
        leg.hold(at=self._now())
        self._emit("held", leg)

    def reject_later(self, order: Order) -> None:
        """Schedule the rejection of an accepted order, after the delay of an execution."""
        action = partial(self.end, order, Status.REJECTED, "rejected by the market")
        self._scheduler.after(self.matching.fill_delay_ms / 1000, action)

    def execute(self, order: Order, *, quantity: Decimal, price: Decimal, withheld: tuple[str, ...] = ()) -> Execution:
        """Create one execution now, in any state of the order: the caller decides what is allowed.

        An event with `withheld` is not published.
        """
        was_open = order.is_open
        execution = self._book.record_execution(
            order, execution_id=self._new_id(), quantity=quantity, price=price, at=self._now()
        )
        has_ended = was_open and not order.is_open
        event = "fill" if order.status is Status.FILLED else "partial_fill"
        self._emit(
            event, order, execution=execution, quantity=execution.quantity, price=execution.price, withheld=withheld
        )
        if has_ended:
            self._book.note_closed()
            self._settle_group(order)
        self.note_execution(execution)
        return execution

    def revise(self, execution: Execution, *, quantity: Decimal, price: Decimal) -> None:
        """Corrects an execution, or busts it when the quantity is zero."""
        is_bust, amended_id = not quantity, execution.id
        self._book.revise_execution(execution, own_id=self._new_id(), quantity=quantity, price=price, at=self._now())
        self._emit(
            "trade_bust" if is_bust else "trade_correct",
            execution.order,
            execution=execution,
            quantity=-execution.quantity if is_bust else execution.quantity,
            price=execution.price,
            previous_execution_id=amended_id,
            reason="TRADE_BUST" if is_bust else None,
        )

    def end(self, order: Order, status: Status, reason: str | None = None) -> None:
        """End the order, unless it has ended already."""
        if not order.is_open:
            return
        order.end(status, at=self._now())
        self._book.note_closed()
        self._emit(status.value, order, reason=reason)
        self._settle_group(order)

    def _settle_group(self, order: Order) -> None:
        """Start the first leg of an order that was filled, or cancel the rest of the group of one that has ended."""
        if order.status is Status.FILLED and order.legs:
            if order.legs[0].status is Status.HELD and order.legs[0].is_open:
                self._start_working(order.legs[0])
        elif order.status is not Status.REPLACED:
            siblings = () if order.parent is None else order.parent.legs
            for other in (*order.legs, *siblings):
                self.end(other, Status.CANCELED)

    def _start_working(self, order: Order) -> None:
        order.start_working(at=self._now())
        self._emit("new", order)

    def _work(self, order: Order) -> None:
        """Take the next step of an open order: a scheduled execution, an immediate end, or waiting.

        An external order has none: it may be of a kind that cannot be executed here, so only controls fill it.
        """
        if self.matching.mode == "manual" or order.is_scheduled or not order.is_open or order.terms.is_external:
            return
        if order.terms.must_execute_at_once:
            self._execute_or_cancel(order)
        elif order.terms.is_marketable(self.market.price(order.terms.instrument)):
            order.is_scheduled = True
            self._scheduler.after(self.matching.fill_delay_ms / 1000, partial(self._fill_next, order))
        else:
            self.market.rest(order)

    def _execute_or_cancel(self, order: Order) -> None:
        """Execute an immediate order completely at the current price, which has unlimited depth here, or cancel it."""
        price = self.market.price(order.terms.instrument)
        if order.terms.is_marketable(price):
            self.execute(order, quantity=order.leaves_quantity, price=price)
        else:
            self.end(order, Status.CANCELED)

    def _fill_next(self, order: Order) -> None:
        order.is_scheduled = False
        if self.matching.mode == "manual" or not order.is_open:
            return
        price = self.market.walk(order.terms.instrument)
        if order.terms.is_marketable(price):
            quantity = next_slice(order)
            order.fills_left -= 1
            self.execute(order, quantity=quantity, price=price)
        self._work(order)
        for reached in self.market.take_reached(order.terms.instrument):
            self._work(reached)

    def cancel_later(self, order: Order) -> None:
        """Accept a cancel request that is carried out after the matching's cancel delay, or by a control."""
        order.ask_cancel(at=self._now())
        self._emit("pending_cancel", order)
        if self.matching.cancels == "manual":
            return
        self._scheduler.after(self.matching.cancel_delay_ms / 1000, partial(self.carry_out_cancel, order))

    def carry_out_cancel(self, order: Order) -> None:
        """Cancel the order, or report that it was too late."""
        if order.is_open:
            self.end(order, Status.CANCELED)
        elif not order.is_forgotten:
            self._emit("order_cancel_rejected", order, reason="TOO_LATE_TO_CANCEL", at=self._now())

    def decide_cancel(self, order: Order, *, is_refused: bool) -> None:
        """Carry out the pending cancel request, or refuse it: then the order works on."""
        if not is_refused:
            self.end(order, Status.CANCELED)
            return
        order.refuse_cancel(at=self._now())
        self._emit("order_cancel_rejected", order, reason="CANCEL_REFUSED")
        self._work(order)

    def restate(self, order: Order, terms: OrderTerms) -> None:
        """Change the order's terms; it is filled without a remainder, and may become marketable."""
        order.restate(terms, at=self._now())
        self._emit("restated", order, terms=terms)
        if not order.is_open:
            self._book.note_closed()
            self._settle_group(order)
        self._work(order)

    def _walk(self) -> None:
        """Move the prices periodically for waiting orders."""
        if self.matching.mode == "auto":
            for reached in self.market.walk_resting():
                self._work(reached)
        self._scheduler.after(WALK_INTERVAL_SECONDS, self._walk)

    def _emit(
        self,
        event: str,
        order: Order,
        *,
        execution: Execution | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        previous_execution_id: str | None = None,
        reason: str | None = None,
        at: datetime | None = None,
        terms: OrderTerms | None = None,
        withheld: tuple[str, ...] = (),
    ) -> None:
        entry = self._journal.record_event(
            event,
            order,
            at=at or order.updated_at,
            execution=execution,
            quantity=quantity,
            price=price,
            previous_execution_id=previous_execution_id,
            reason=reason,
            terms=terms,
            withheld=withheld,
        )
        self._publish(entry)
        self._journal.write(entry)
