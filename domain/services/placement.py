"""Placement of orders: check an order, store it, wake a worker, answer. The venue is not involved.

The pre-trade limits (see `domain.model.limits`) are checked in two places: those of a single order here, by limits that
may be stale; halts and the account's open orders in the statement that stores the order, which also detects that the
limits were changed in between. A stored order is what the documentation calls an accepted order.
"""

from dataclasses import dataclass
from datetime import timedelta

from domain.model.changes import OrderSnapshot
from domain.model.errors import (
    ClientOrderIdConflictError,
    InvalidOrderError,
    LimitsChangedError,
    OrderDeniedError,
    UnavailableError,
)
from domain.model.limits import AccountLimits, Denial, check_terms
from domain.model.order import Order
from domain.model.order_identity import derive_venue_client_order_id
from domain.model.values import (
    Terms,
    is_isin,
)
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.installation import Installation
from domain.ports.notifications import ChangePublisher, WakeUps
from domain.ports.order_store import OrderStore, OrderStored
from domain.ports.readers import InstrumentCatalog, OrderReader
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.trading_control import InstrumentPrices, LimitBook
from domain.services.account_check import AccountCheck
from domain.services.place_order import OF_THE_INSTRUMENT, PlaceOrder, find_issues

INSTRUMENT_NOT_TRADABLE = "INSTRUMENT_NOT_TRADABLE"
LIMITS_CHANGED_MAX = 5
"""How often an order is checked again because an operator has just changed the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The use case of placing orders."""

    orders: OrderStore
    reader: OrderReader
    catalog: InstrumentCatalog
    limit_book: LimitBook
    accounts: AccountCheck
    prices: InstrumentPrices
    installation: Installation
    publisher: ChangePublisher
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Clock
    new_id: NewId

    async def place(self, command: PlaceOrder) -> OrderStored:
        """Store the order and return; a worker submits it afterwards.

        Raises InvalidOrderError, OrderDeniedError, ClientOrderIdConflictError, and UnavailableError when it cannot be
        stored, which is counted by its reason; InvalidAccountError when the account rule refuses the id.
        """
        try:
            return await self._place(command)
        except UnavailableError as error:
            self.telemetry.count(Metric.ORDERS_REFUSED, cause=error.reason.value)
            self.telemetry.warning(
                "order_refused",
                cause=error.reason.value,
                sqlstate=error.sqlstate,
                next="the client is asked to retry",
            )
            raise

    async def _place(self, command: PlaceOrder) -> OrderStored:
        await self.accounts.require(command.account_id)
        for attempt in range(LIMITS_CHANGED_MAX):
            try:
                order, limits = await self._checked_order(command, fresh=attempt > 0)
            except (InvalidOrderError, OrderDeniedError) as refusal:
                return await self._stored_before(command, refusal)
            try:
                stored = await self.orders.store(order, limits=limits)
            except LimitsChangedError:
                continue
            except OrderDeniedError as denial:
                self.telemetry.count(Metric.ORDERS_DENIED, code=denial.code)
                raise
            return self._stored(stored, order)
        raise UnavailableError

    def _stored(self, stored: OrderStored, order: Order) -> OrderStored:
        if stored.change is None:
            return self._replayed(stored.order, order.terms)
        self.telemetry.count(Metric.ORDERS_STORED)
        self.publisher.publish([stored.change])
        self.wake_ups.placement_due([order.id], within=timedelta(0))
        return stored

    async def _checked_order(self, command: PlaceOrder, *, fresh: bool) -> tuple[Order, AccountLimits]:
        """Return the order, and the limits by which it was checked. Raises InvalidOrderError and OrderDeniedError."""
        terms = await self._checked_terms(command)
        limits = await self.limit_book.limits_of(command.account_id, fresh=fresh)
        if await self._denial(terms, limits) is not None:
            # Re-read the limits before denying: the cached ones may be stale.
            limits = await self.limit_book.limits_of(command.account_id, fresh=True)
            denial = await self._denial(terms, limits)
            if denial is not None:
                raise OrderDeniedError.by(denial)
        prefixes = await self.installation.prefixes()
        now = self.clock()
        order = Order(
            id=self.new_id(),
            account_id=command.account_id,
            venue_client_order_id=derive_venue_client_order_id(
                prefix=prefixes.current, account_id=command.account_id, client_order_id=command.client_order_id
            ),
            terms=terms,
            created_at=now,
            updated_at=now,
        )
        return order, limits

    async def _denial(self, terms: Terms, limits: AccountLimits) -> Denial | None:
        price = await self.prices.last_price(terms.isin) if limits.need_a_price else None
        return check_terms(terms, limits=limits, last_price=price)

    async def _checked_terms(self, command: PlaceOrder) -> Terms:
        instrument = await self.catalog.find(command.isin) if is_isin(command.isin) else None
        issues = find_issues(command, instrument)
        if issues or instrument is None:
            raise InvalidOrderError(issues)
        if not instrument.tradable:
            raise OrderDeniedError(
                code=INSTRUMENT_NOT_TRADABLE,
                message=f"{instrument.symbol} ({instrument.isin}) is not tradable.",
                path=("input", "isin"),
            )
        return command.terms(symbol=instrument.symbol)

    async def _stored_before(self, command: PlaceOrder, refusal: InvalidOrderError | OrderDeniedError) -> OrderStored:
        """Return the order that was stored for this client order id before; if there is none, raise the refusal.

        A repeat must not be denied, as if nothing had been stored, because trading was halted since.
        """
        if isinstance(refusal, InvalidOrderError) and any(one.code not in OF_THE_INSTRUMENT for one in refusal.issues):
            raise refusal
        existing = await self.reader.by_client_order_id(command.client_order_id, account_id=command.account_id)
        if existing is None:
            if isinstance(refusal, OrderDeniedError):
                self.telemetry.count(Metric.ORDERS_DENIED, code=refusal.code)
            raise refusal
        return self._replayed(existing, command.terms(symbol=existing.terms.symbol))

    def _replayed(self, existing: OrderSnapshot, terms: Terms) -> OrderStored:
        if not existing.terms.asks_the_same_as(terms):
            raise ClientOrderIdConflictError(existing)
        self.telemetry.count(Metric.ORDERS_REPLAYED)
        return OrderStored(order=existing, change=None)
