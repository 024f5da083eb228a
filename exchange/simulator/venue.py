"""The simulated exchange itself: its requests, faults and settings.

It accepts orders and passes them to `Trading`, which processes them to their end. Everything here runs on one event
loop and never awaits, so each method is one step of the exchange.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

from exchange.simulator.book import OrderBook
from exchange.simulator.clock import VenueClock
from exchange.simulator.external_orders import ExternalOrder, successor_fields
from exchange.simulator.faults import FaultDice, Faults, PlacementAnswer
from exchange.simulator.habit_player import RENAMED_AFTER_SECONDS, HabitPlayer
from exchange.simulator.instruments import Instrument, listed_instruments
from exchange.simulator.journal import Entry, Journal
from exchange.simulator.listing import Listing
from exchange.simulator.matching import Market, Matching
from exchange.simulator.orders import Order, OrderTerms, Status, TimeInForce
from exchange.simulator.refusals import Code, order_not_found, refusal
from exchange.simulator.rendering import BUYING_POWER, next_close
from exchange.simulator.requests import Replacement
from exchange.simulator.scheduler import Scheduler
from exchange.simulator.trading import Trading


class SimulatedVenue:
    """One account's exchange. `publish` sends an event to the listener and marks a withheld one in its entry."""

    def __init__(
        self,
        *,
        faults: Faults,
        matching: Matching,
        journal: Journal,
        scheduler: Scheduler,
        clock: VenueClock,
        new_id: Callable[[], str],
        publish: Callable[[Entry], None],
        renamed_after_seconds: float = RENAMED_AFTER_SECONDS,
    ) -> None:
        self.faults = faults
        self.dice = FaultDice(faults.seed)
        self.book = OrderBook()
        self.trading = Trading(
            book=self.book,
            market=Market(Random(f"{faults.seed}:market")),  # noqa: S311  # Prices must repeat by seed.
            matching=matching,
            journal=journal,
            scheduler=scheduler,
            now=clock.now,
            new_id=new_id,
            publish=publish,
        )
        self._habits = HabitPlayer(
            trading=self.trading,
            scheduler=scheduler,
            forget=self.forget,
            habits=lambda: self.faults.habits,
            dice=lambda: self.dice.habits,
            renamed_after_seconds=renamed_after_seconds,
        )
        self.trading.note_execution = self._habits.note_execution
        self.instruments: dict[str, Instrument] = {each.symbol: each for each in listed_instruments()}
        self.checks_identity = True
        self.listing = Listing()
        self.clock = clock
        self.now = clock.now
        self.opened_at = clock.now()
        self._new_id = new_id
        self._journal = journal
        self._scheduler = scheduler
        self._schedule_close()

    def place(
        self, terms: OrderTerms, *, answer: PlacementAnswer = PlacementAnswer.GIVEN, is_rejected_later: bool = False
    ) -> Order:
        """Accept an order. `answer` is the answer to the client, for the journal.

        Raises:
            VenueRefusalError: the client order id was used before, or the order is worth more than the account.
        """
        self._check_acceptable(terms)
        order = self._accept(terms, answer=answer)
        if is_rejected_later:
            self.trading.reject_later(order)
        else:
            self.trading.start_soon(order)
        if answer is PlacementAnswer.GIVEN:
            self._habits.note_order(order)
        return order

    def place_external(self, external: ExternalOrder) -> Order:
        """Accept an external order with its legs, and open it immediately.

        Raises:
            VenueRefusalError: the client order id, or that of a leg, was used before.
        """
        for terms in (external.terms, *external.legs):
            self._check_identity(terms)
        order = self._accept(external.terms, answer=None)
        for terms in external.legs:
            self._accept(terms, answer=None, parent=order)
        self.trading.start(order)
        for leg in order.legs:
            self.trading.hold(leg)
        if external.is_filled_at_once:
            price = order.terms.limit_price or self.trading.market.price(order.terms.instrument)
            self.trading.execute(order, quantity=order.leaves_quantity, price=price)
        return order

    def forget(self, order: Order) -> None:
        """Forget the order: look-ups do not find it and it no longer changes. Its executions stay in the account."""
        self.book.forget(order)
        self._journal.record_forgotten(order, at=self.now())

    def set_clock_offset(self, seconds: float) -> None:
        """Set the clock apart from the system's. The trading day ends when that passes its end."""
        self.clock.set_offset(seconds)
        if self.now() >= self._closes_at:
            self.close_day()
        self._schedule_close()

    def cancel(self, order: Order) -> None:
        """Accept a cancel request; it is carried out immediately, or after the matching's cancel delay.

        Raises:
            VenueRefusalError: the order has ended or is being canceled already.
        """
        if not order.is_open or order.status is Status.PENDING_CANCEL:
            raise refusal(Code.UNPROCESSABLE, f'order is already in "{order.status}" state')
        self._habits.note_cancel(order)
        if self.trading.matching.cancels == "manual" or self.trading.matching.cancel_delay_ms:
            self.trading.cancel_later(order)
        else:
            self.trading.end(order, Status.CANCELED)

    def replace(self, order: Order, change: Replacement) -> Order:
        """End the order as replaced and accept a new one, by default for its remainder.

        Raises:
            VenueRefusalError: the order has ended, or the new terms are not acceptable.
        """
        if order.status not in {Status.NEW, Status.PARTIALLY_FILLED}:
            raise refusal(Code.UNPROCESSABLE, f'order cannot be replaced in "{order.status}" state')
        terms = replace(
            order.terms,
            client_order_id=change.client_order_id or self._new_id(),
            quantity=change.quantity or order.leaves_quantity,
            limit_price=change.limit_price or order.terms.limit_price,
            time_in_force=change.time_in_force or order.terms.time_in_force,
            wire_fields=successor_fields(order.terms.wire_fields, change),
        )
        self._check_acceptable(terms)
        successor = self._accept(terms, answer=PlacementAnswer.GIVEN, replaces=order.id)
        order.replaced_by = successor.id
        self.trading.end(order, Status.REPLACED)
        self.trading.start_soon(successor)
        return successor

    def find_visible(self, order: Order | None, *, wanted: str) -> Order:
        """Return the order, unless it does not exist or look-ups do not return it yet.

        Raises:
            VenueRefusalError: 404.
        """
        if order is None or not order.is_visible(now=self.now()):
            raise order_not_found(wanted)
        return order

    def _check_acceptable(self, terms: OrderTerms) -> None:
        self._check_identity(terms)
        if terms.quantity * (terms.limit_price or self.trading.market.price(terms.instrument)) > BUYING_POWER:
            raise refusal(Code.FORBIDDEN, "insufficient buying power")

    def _check_identity(self, terms: OrderTerms) -> None:
        if self.checks_identity and self.book.is_taken(terms.client_order_id):
            raise refusal(Code.INVALID, "client_order_id must be unique")

    def _accept(
        self,
        terms: OrderTerms,
        *,
        answer: PlacementAnswer | None,
        replaces: str | None = None,
        parent: Order | None = None,
    ) -> Order:
        now = self.now()
        hide_seconds = self.faults.hide_seconds
        order = Order(
            id=self._new_id(),
            terms=terms,
            submitted_at=now,
            visible_at=now + timedelta(seconds=hide_seconds) if hide_seconds else now,
            updated_at=now,
            fills_left=self.trading.matching.fills_per_order,
            replaces=replaces,
            parent=parent,
        )
        self.book.add(order)
        self._journal.record_order(order, answer=answer)
        return order

    def set_faults(self, faults: Faults, *, is_reseeded: bool) -> None:
        """Replace the faults. While the exchange is down the matching is paused."""
        if is_reseeded:
            self.dice = FaultDice(faults.seed)
        if faults.down and not self.faults.down:
            self._scheduler.pause()
        elif self.faults.down and not faults.down:
            self._scheduler.resume()
        self.faults = faults

    def go_on(self) -> None:
        """Resume the open orders after a restart; DAY orders of a past day expire."""
        now = self.now()
        for order in self.book.open_orders():
            if order.terms.time_in_force is TimeInForce.DAY and next_close(order.submitted_at) <= now:
                self.trading.end(order, Status.EXPIRED)
            elif order.status is Status.PENDING_CANCEL:
                self.trading.carry_out_cancel(order)
            else:
                self.trading.start(order)

    def close_day(self, *, status: Status = Status.EXPIRED) -> int:
        """End the trading day: every open DAY order ends, with this status. Return their number."""
        ending = [order for order in self.book.open_orders() if order.terms.time_in_force is TimeInForce.DAY]
        for order in ending:
            self.trading.end(order, status)
        return len(ending)

    def _schedule_close(self) -> None:
        now = self.now()
        self._closes_at = next_close(now)
        self._scheduler.after((self._closes_at - now).total_seconds(), partial(self._close_when_due, self._closes_at))

    def _close_when_due(self, closes_at: datetime) -> None:
        # Another action closes the day where the clock was set past this time.
        if closes_at != self._closes_at:
            return
        # Before it, the clock was set back.
        if self.now() >= closes_at:
            self.close_day()
        self._schedule_close()
