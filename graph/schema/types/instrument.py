"""An instrument in public form."""

from decimal import Decimal

import strawberry

from domain.model import values
from graph.schema.global_ids import instrument_node_id
from graph.schema.scalars import Isin
from graph.schema.types.node import Node


@strawberry.type
class Instrument(Node):
    isin: Isin
    symbol: str
    name: str
    currency: str
    tick_size: Decimal = strawberry.field(description="Limit prices are multiples of this.")
    lot_size: Decimal = strawberry.field(description="Quantities are multiples of this.")
    tradable: bool


def instrument_from(instrument: values.Instrument) -> Instrument:
    """Return the instrument in public form."""
    return Instrument(
        id=instrument_node_id(instrument.isin),
        isin=Isin(instrument.isin),
        symbol=instrument.symbol,
        name=instrument.name,
        currency=instrument.currency,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        tradable=instrument.tradable,
    )
