"""From a client's input to a command for the domain, with all its errors found together."""

from collections.abc import Sequence
from decimal import Decimal

from domain.model.errors import InputIssue, InvalidOrderError, IssueCode
from domain.model.values import OrderType, TimeInForce, is_isin
from domain.services.place_order import PlaceOrder, find_issues
from graph.context import Context
from graph.schema.scalars import GivenDecimal
from graph.schema.types.inputs import PlaceOrderInput, given, given_account

WAIT_MAX_MS = 10_000

_STAND_IN = Decimal(1)


async def read_command(asked: PlaceOrderInput, *, wait_ms: int, context: Context) -> PlaceOrder:
    """Return the command; raise InvalidOrderError when an argument is malformed, together with all other issues."""
    issues = [*_wait_issues(wait_ms), *_format_issues(asked)]
    command = _command(asked, account_id=context.bearer.own_account(given_account(asked.account_id)))
    if issues:
        raise InvalidOrderError([*issues, *await _other_issues(command, issues, context)])
    return command


def _command(asked: PlaceOrderInput, *, account_id: str) -> PlaceOrder:
    limit_price = given(asked.limit_price)
    return PlaceOrder(
        account_id=account_id,
        client_order_id=asked.client_order_id,
        isin=asked.isin.text,
        side=asked.side,
        type=asked.type,
        time_in_force=given(asked.time_in_force) or TimeInForce.DAY,
        quantity=_value(asked.quantity),
        limit_price=None if limit_price is None else _value(limit_price),
    )


def _value(decimal: GivenDecimal) -> Decimal:
    # The stand-in is only used by `find_issues`: a command with a malformed number is never placed.
    return _STAND_IN if decimal.value is None else decimal.value


def _wait_issues(wait_ms: int) -> Sequence[InputIssue]:
    if 0 <= wait_ms <= WAIT_MAX_MS:
        return ()
    message = f"waitMs must be 0 to {WAIT_MAX_MS}."
    return (InputIssue(path=("waitMs",), code=IssueCode.OUT_OF_RANGE, message=message),)


def _format_issues(asked: PlaceOrderInput) -> Sequence[InputIssue]:
    decimals = {"quantity": asked.quantity, "limitPrice": given(asked.limit_price)}
    return [
        InputIssue(
            path=("input", field),
            code=IssueCode.BAD_FORMAT,
            message='Expected a decimal as a string, such as "12.50", at most 18 digits on each side of the point.',
        )
        for field, decimal in decimals.items()
        if decimal is not None and decimal.value is None
    ]


async def _other_issues(command: PlaceOrder, issues: Sequence[InputIssue], context: Context) -> Sequence[InputIssue]:
    instrument = await context.services.catalog.find(command.isin) if is_isin(command.isin) else None
    named = {issue.path for issue in issues}
    if command.type is OrderType.MARKET:
        # That a market order has no price is reported even for a malformed price.
        named.discard(("input", "limitPrice"))
    return [issue for issue in find_issues(command, instrument) if issue.path not in named]
