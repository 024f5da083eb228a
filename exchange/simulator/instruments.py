"""The instruments that the simulated exchange lists: real ones with their real ISINs, read from the packaged table.

Reference prices are plausible, not current. Three instruments are no longer listed and cannot be traded.
"""

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from uuid import NAMESPACE_URL, uuid5

CURRENCY = "USD"
TICK_SIZE = Decimal("0.01")
LOT_SIZE = Decimal(1)
UNLISTED_REFERENCE_PRICE = Decimal(100)
UNLISTED_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instrument:
    """One listed instrument. `asset_id` is derived from the ISIN: the same in every run. Prices are in `currency`."""

    asset_id: str
    isin: str
    symbol: str
    name: str
    exchange: str
    reference_price: Decimal
    tradable: bool
    currency: str = CURRENCY
    tick_size: Decimal = TICK_SIZE
    lot_size: Decimal = LOT_SIZE


@cache
def listed_instruments() -> tuple[Instrument, ...]:
    """All instruments, in the order of the table."""
    text = files(__package__).joinpath("instruments.csv").read_text(encoding="utf-8")
    return tuple(_instrument(row) for row in csv.DictReader(text.splitlines()))


@lru_cache(maxsize=UNLISTED_KEPT_MAX)
def unlisted_instrument(symbol: str) -> Instrument:
    """Return an instrument that the exchange does not list and an external order names: only its symbol is known."""
    return Instrument(
        asset_id=str(uuid5(NAMESPACE_URL, f"symbol:{symbol}")),
        isin="",
        symbol=symbol,
        name=symbol,
        exchange="",
        reference_price=UNLISTED_REFERENCE_PRICE,
        tradable=False,
    )


def _instrument(row: dict[str, str]) -> Instrument:
    return Instrument(
        asset_id=str(uuid5(NAMESPACE_URL, f"isin:{row['isin']}")),
        isin=row["isin"],
        symbol=row["symbol"],
        name=row["name"],
        exchange=row["exchange"],
        reference_price=Decimal(row["reference_price"]),
        tradable=row["tradable"] == "true",
    )
