"""Examples of the trade for the tests: an instrument, an order, and what a venue says about it."""

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
    """The present moment, for stores whose clock no test can move."""
    return datetime.now(UTC)


def at(second: int) -> datetime:
    """So many seconds after the start of the example."""
    return MIDNIGHT + timedelta(seconds=second)


def an_instrument(*, tradable: bool = True) -> Instrument:
    """A share traded in steps of a cent and by the piece."""
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
    """A limit order to buy."""
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
    """An order as it was accepted."""
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
    """The example's name at the venue, as an order has it that is older than derived names."""
    return str(order_id)


def new_order(
    *, account_id: str = "alice", client_order_id: str = "intent-1", at: datetime = MIDNIGHT, quantity: str = "100"
) -> Order:
    """An order with an id of its own."""
    return an_order(order_id=uuid7(), account_id=account_id, client_order_id=client_order_id, at=at, quantity=quantity)


def told(order: Order, *reports: Report, known: Iterable[Execution] = ()) -> Applied:
    """The order after the reports, applied in one go."""
    ids = count(1)
    return apply_reports(order, reports, known=known, now=at(99), new_id=lambda: UUID(int=next(ids)))


def an_order_told(*reports: Report, quantity: str = "10") -> Order:
    """A fresh order after the reports."""
    return told(an_order(quantity=quantity), *reports).order


def accepted(*, rank: VenueRank = VenueRank.WORKING, venue_order_id: str = "V1") -> OrderAccepted:
    """The venue has it."""
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
    """A trade was undone."""
    return ExecutionBusted(venue_execution_id=name, at=at(3))


def corrected(quantity: str, *, name: str = "E1", price: str = "12.5", second: int = 3) -> ExecutionCorrected:
    """A trade was something else."""
    return ExecutionCorrected(
        venue_execution_id=name, trade=Trade(quantity=Decimal(quantity), price=Decimal(price)), at=at(second)
    )


def ended(
    end: End, *, reason: Reason = VENUE_SAYS, venue_order_id: str | None = None, count: VenueCount | None = None
) -> OrderEnded:
    """The order's life is over."""
    return OrderEnded(end=end, reason=reason, venue_order_id=venue_order_id, at=at(4), count=count)


def ended_by_operator(ended_as: str) -> OperatorEnded:
    """An operator says that it is over."""
    return OperatorEnded(ended_as=EndedAs(ended_as), reason=OPERATOR_SAYS, at=at(4))


def shown_open() -> OrderShownOpen:
    """The venue shows it open later."""
    return OrderShownOpen(at=at(5))


def restated(quantity: str, *, symbol: str = "AAPL", limit_price: str | None = None, second: int = 4) -> OrderRestated:
    """Return the report that the venue has changed the terms."""
    price = None if limit_price is None else Decimal(limit_price)
    restatement = Restatement(at=at(second), quantity=Decimal(quantity), symbol=symbol, limit_price=price)
    return OrderRestated(venue_order_id="V1", restatement=restatement)


def cancel_asked() -> CancelRequested:
    """The account wants it canceled."""
    return CancelRequested(at=at(5))


def cancel_sent(request: int = 1) -> CancelSent:
    """The venue got the request."""
    return CancelSent(request=request, at=at(6))


def cancel_refused(request: int | None = 1, *, second: int = 7) -> CancelRefused:
    """The venue will not cancel."""
    return CancelRefused(reason=VENUE_SAYS, request=request, at=at(second))


def became_unknown(*, refusal: Reason | None = None) -> SubmissionInDoubt:
    """The answer was lost; a later one may have refused the order."""
    return SubmissionInDoubt(reason=WE_SAY, at=at(1), refusal=refusal)


def refused(reason: Reason = VENUE_REFUSES) -> SubmissionRefused:
    """The venue refused the order in an answer."""
    return SubmissionRefused(reason=reason, at=at(1))


def given_up() -> SubmissionGivenUp:
    """We stopped trying."""
    return SubmissionGivenUp(reason=WE_SAY, at=at(1))


def renamed(terms: Terms, *, symbol: str) -> Terms:
    """The same terms for another listing."""
    return replace(terms, symbol=symbol)
