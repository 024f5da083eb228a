"""Orders for tests: one sensible order, varied by keyword."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.order import Order
from domain.values import OrderType, Side, Terms, TimeInForce
from tests.memory import MIDNIGHT

TERMS = Terms(
    client_order_id="c-1",
    isin="US0378331005",
    symbol="AAPL",
    side=Side.BUY,
    type=OrderType.LIMIT,
    time_in_force=TimeInForce.DAY,
    quantity=Decimal(100),
    limit_price=Decimal("190.50"),
)


def new_order(
    *,
    order_id: UUID | None = None,
    account_id: str = "demo",
    client_order_id: str = "c-1",
    at: datetime = MIDNIGHT,
    quantity: Decimal = Decimal(100),
) -> Order:
    """A freshly accepted order, as placement would make it."""
    terms = replace(TERMS, client_order_id=client_order_id, quantity=quantity)
    return Order(id=order_id or uuid7(), account_id=account_id, terms=terms, created_at=at, updated_at=at)
