"""The command to place an order, as a client sent it, and all that can be wrong with it."""

from collections.abc import Sequence
from decimal import Decimal

from domain.model.errors import InputIssue, IssueCode
from domain.model.frozen import frozen
from domain.model.values import (
    CLIENT_ORDER_ID_MAX_CHARACTERS,
    ZERO,
    Instrument,
    OrderType,
    Side,
    Terms,
    TimeInForce,
    is_client_order_id,
    is_isin,
    is_multiple,
)


@frozen
class PlaceOrder:
    """The command as the client sent it; only its types have been checked."""

    account_id: str
    client_order_id: str
    isin: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None

    def terms(self, *, symbol: str) -> Terms:
        """Return the terms, with the instrument's symbol."""
        return Terms(
            client_order_id=self.client_order_id,
            isin=self.isin,
            symbol=symbol,
            side=self.side,
            type=self.type,
            time_in_force=self.time_in_force,
            quantity=self.quantity,
            limit_price=self.limit_price,
        )


OF_THE_INSTRUMENT = frozenset({IssueCode.UNKNOWN_INSTRUMENT, IssueCode.BAD_LOT, IssueCode.BAD_TICK})
"""The issues that a valid order can get later: instruments change, the other rules do not."""


def find_issues(command: PlaceOrder, instrument: Instrument | None) -> Sequence[InputIssue]:
    """Return all issues of the command, field by field, so that a form can show them at once."""
    issues = [
        *_client_order_id_issues(command),
        *_instrument_issues(command, instrument),
        *_quantity_issues(command, instrument),
        *_price_issues(command, instrument),
    ]
    return tuple(issues)


def _client_order_id_issues(command: PlaceOrder) -> Sequence[InputIssue]:
    if is_client_order_id(command.client_order_id):
        return ()
    return (
        _issue(
            "clientOrderId",
            IssueCode.BAD_FORMAT,
            f"Use 1 to {CLIENT_ORDER_ID_MAX_CHARACTERS} characters of A-Z a-z 0-9 . _ : -",
        ),
    )


def _instrument_issues(command: PlaceOrder, instrument: Instrument | None) -> Sequence[InputIssue]:
    if instrument is not None:
        return ()
    if not is_isin(command.isin):
        return (_issue("isin", IssueCode.BAD_FORMAT, "Not an ISIN: 12 characters whose check digit is right."),)
    return (_issue("isin", IssueCode.UNKNOWN_INSTRUMENT, f"No instrument with ISIN {command.isin} is known."),)


def _quantity_issues(command: PlaceOrder, instrument: Instrument | None) -> Sequence[InputIssue]:
    if command.quantity <= ZERO:
        return (_issue("quantity", IssueCode.OUT_OF_RANGE, "The quantity must be more than zero."),)
    if instrument is not None and not is_multiple(command.quantity, instrument.lot_size):
        step = f"The quantity must be a multiple of the lot size {instrument.lot_size:f}."
        return (_issue("quantity", IssueCode.BAD_LOT, step),)
    return ()


def _price_issues(command: PlaceOrder, instrument: Instrument | None) -> Sequence[InputIssue]:
    price = command.limit_price
    if command.type is OrderType.MARKET:
        if price is None:
            return ()
        return (_issue("limitPrice", IssueCode.NOT_ALLOWED, "A MARKET order has no limit price."),)
    if price is None:
        return (_issue("limitPrice", IssueCode.REQUIRED, "A LIMIT order needs a limit price."),)
    if price <= ZERO:
        return (_issue("limitPrice", IssueCode.OUT_OF_RANGE, "The limit price must be more than zero."),)
    if instrument is not None and not is_multiple(price, instrument.tick_size):
        step = f"The limit price must be a multiple of the tick size {instrument.tick_size:f}."
        return (_issue("limitPrice", IssueCode.BAD_TICK, step),)
    return ()


def _issue(field: str, code: IssueCode, message: str) -> InputIssue:
    return InputIssue(path=("input", field), code=code, message=message)
