"""Examples of the trade for the tests: an instrument, an order, and reports of a venue about it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.model.apply_reports import Applied, apply_reports
from domain.model.executions import Execution, Trade
from domain.model.operator_end import EndedAs
from domain.model.order import End, Order, VenueCount, VenueRank
from domain.model.reports import (
    CancelRefused,
    CancelRequested,
    CancelSent,
    ExecutionBusted,
    ExecutionCorrected,
    OperatorEnded,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRestated,
    OrderShownOpen,
    Report,
    SubmissionGivenUp,
    SubmissionInDoubt,
    SubmissionRefused,
)
from domain.model.restatement import Restatement
from domain.model.values import Instrument, OrderType, Reason, ReasonSource, Side, Terms, TimeInForce
from tests.support.fakes.clock import MIDNIGHT

ISIN = "US0378331005"
ORDER_ID = UUID(int=0xABC)
VENUE_SAYS = Reason(source=ReasonSource.VENUE, code="VENUE_SAID_SO", message="The venue said so.")
VENUE_REFUSES = Reason(source=ReasonSource.VENUE, code="VENUE_40310000", message="insufficient buying power")
OPERATOR_SAYS = Reason(source=ReasonSource.OPERATOR, code="OPERATOR_SAID_SO", message="An operator said so.")
WE_SAY = Reason(source=ReasonSource.SYSTEM, code="WE_SAID_SO", message="We said so.")


def now() -> datetime:
    """Return the present moment, for stores whose clock tests cannot set."""
    return datetime.now(UTC)


def at(second: int) -> datetime:
    """Return the time that number of seconds after the start of the example."""
    return MIDNIGHT + timedelta(seconds=second)


def an_instrument(*, tradable: bool = True) -> Instrument:
    """Return a share traded in steps of a cent and by the piece."""
    return Instrument(
        isin=ISIN,
        symbol="AAPL",
        name="Apple Inc.",
        currency="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        tradable=tradable,
    )


def some_terms(*, quantity: str = "10", client_order_id: str = "intent-1") -> Terms:
    """Return the terms of a limit order to buy."""
    return Terms(
        client_order_id=client_order_id,
        isin=ISIN,
        symbol="AAPL",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        quantity=Decimal(quantity),
        limit_price=Decimal("12.50"),
    )


def an_order(
    *,
    quantity: str = "10",
    order_id: UUID = ORDER_ID,
    account_id: str = "alice",
    client_order_id: str = "intent-1",
    at: datetime = MIDNIGHT,
) -> Order:
    """Return an order as it is stored."""
    terms = some_terms(quantity=quantity, client_order_id=client_order_id)
    return Order(
        id=order_id,
        account_id=account_id,
        venue_client_order_id=name_of(order_id),
        terms=terms,
        created_at=at,
        updated_at=at,
    )


def name_of(order_id: UUID) -> str:
    """Return the example's name at the venue, in the form from before derived names."""
    return str(order_id)


def new_order(
    *, account_id: str = "alice", client_order_id: str = "intent-1", at: datetime = MIDNIGHT, quantity: str = "100"
) -> Order:
    """Return an order with its own id."""
    return an_order(order_id=uuid7(), account_id=account_id, client_order_id=client_order_id, at=at, quantity=quantity)


def after_reports(order: Order, *reports: Report, known: Iterable[Execution] = ()) -> Applied:
    """Return the order after all the reports."""
    ids = count(1)
    return apply_reports(order, reports, known=known, now=at(99), new_id=lambda: UUID(int=next(ids)))


def an_order_after_reports(*reports: Report, quantity: str = "10") -> Order:
    """Return a new order after the reports."""
    return after_reports(an_order(quantity=quantity), *reports).order


def accepted(*, rank: VenueRank = VenueRank.WORKING, venue_order_id: str = "V1") -> OrderAccepted:
    """Return the report that the venue accepted the order."""
    return OrderAccepted(venue_order_id=venue_order_id, rank=rank, at=at(1))


def filled(
    quantity: str,
    *,
    name: str = "E1",
    price: str = "12.5",
    cumulative: str | None = None,
    venue_order_id: str | None = None,
) -> OrderFilled:
    """So much of it traded."""
    return OrderFilled(
        venue_execution_id=name,
        trade=Trade(quantity=Decimal(quantity), price=Decimal(price)),
        cumulative_quantity=None if cumulative is None else Decimal(cumulative),
        venue_order_id=venue_order_id,
        at=at(2),
    )


def busted(name: str = "E1") -> ExecutionBusted:
    """Return the report that a trade was busted."""
    return ExecutionBusted(venue_execution_id=name, at=at(3))


def corrected(quantity: str, *, name: str = "E1", price: str = "12.5", second: int = 3) -> ExecutionCorrected:
    """Return the report that a trade was corrected."""
    return ExecutionCorrected(
        venue_execution_id=name, trade=Trade(quantity=Decimal(quantity), price=Decimal(price)), at=at(second)
    )


def ended(
    end: End, *, reason: Reason = VENUE_SAYS, venue_order_id: str | None = None, count: VenueCount | None = None
) -> OrderEnded:
    """Return the report that the order has ended."""
    return OrderEnded(end=end, reason=reason, venue_order_id=venue_order_id, at=at(4), count=count)


def ended_by_operator(ended_as: str) -> OperatorEnded:
    """Return the report that an operator ended the order."""
    return OperatorEnded(ended_as=EndedAs(ended_as), reason=OPERATOR_SAYS, at=at(4))


def shown_open() -> OrderShownOpen:
    """Return a later report that the order is open."""
    return OrderShownOpen(at=at(5))


def restated(quantity: str, *, symbol: str = "AAPL", limit_price: str | None = None, second: int = 4) -> OrderRestated:
    """Return the report that the venue has changed the terms."""
    price = None if limit_price is None else Decimal(limit_price)
    restatement = Restatement(at=at(second), quantity=Decimal(quantity), symbol=symbol, limit_price=price)
    return OrderRestated(venue_order_id="V1", restatement=restatement)


def cancel_asked() -> CancelRequested:
    """Return the account's request to cancel the order."""
    return CancelRequested(at=at(5))


def cancel_sent(request: int = 1) -> CancelSent:
    """Return the report that the cancel request reached the venue."""
    return CancelSent(request=request, at=at(6))


def cancel_refused(request: int | None = 1, *, second: int = 7) -> CancelRefused:
    """Return the report that the venue refused the cancel."""
    return CancelRefused(reason=VENUE_SAYS, request=request, at=at(second))


def became_unknown(*, refusal: Reason | None = None) -> SubmissionInDoubt:
    """Return the report that the answer was lost, and perhaps that a later answer refused the order."""
    return SubmissionInDoubt(reason=WE_SAY, at=at(1), refusal=refusal)


def refused(reason: Reason = VENUE_REFUSES) -> SubmissionRefused:
    """Return the report that the venue refused the order in an answer."""
    return SubmissionRefused(reason=reason, at=at(1))


def given_up() -> SubmissionGivenUp:
    """We stopped trying."""
    return SubmissionGivenUp(reason=WE_SAY, at=at(1))


def renamed(terms: Terms, *, symbol: str) -> Terms:
    """Return the same terms for another listing."""
    return replace(terms, symbol=symbol)
