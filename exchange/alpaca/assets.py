"""Instruments out of the venue's assets. Pure."""

from decimal import Decimal

from domain.model.values import Instrument, is_isin
from exchange.alpaca.fields import Json, WireError, optional_text, positive, text

# Defaults for an asset without these fields: US shares in cents.
DEFAULT_CURRENCY = "USD"
DEFAULT_TICK_SIZE = Decimal("0.01")
DEFAULT_LOT_SIZE = Decimal(1)


def parse_asset(data: Json) -> Instrument | None:
    """Return the instrument, or None for an asset without ISIN. Raises WireError."""
    isin = optional_text(data, "isin")
    if isin is None:
        return None
    if not is_isin(isin):
        raise WireError(f"{isin} is not an ISIN")
    symbol = text(data, "symbol")
    return Instrument(
        isin=isin,
        symbol=symbol,
        name=optional_text(data, "name") or symbol,
        currency=optional_text(data, "currency") or DEFAULT_CURRENCY,
        tick_size=_step(data, "tick_size", default=DEFAULT_TICK_SIZE),
        lot_size=_step(data, "lot_size", default=DEFAULT_LOT_SIZE),
        tradable=data.get("tradable") is True and data.get("status") == "active",
    )


def _step(data: Json, key: str, *, default: Decimal) -> Decimal:
    return default if data.get(key) is None else positive(data, key)
