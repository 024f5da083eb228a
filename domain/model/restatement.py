"""The terms of an order as changed by the venue: by a split, by a new symbol, by its staff.

The original terms never change; a restatement is a separate fact. Of several the latest by the venue's clock counts, so
that their order is irrelevant.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from domain.model.frozen import frozen
from domain.model.values import ZERO, Terms


@frozen
class Restatement:
    """The terms that the venue can change, and when it did. `limit_price` is None where it states none."""

    at: datetime
    quantity: Decimal
    symbol: str
    limit_price: Decimal | None

    def applied_to(self, terms: Terms) -> Terms:
        """Return the current terms, from the original ones."""
        limit_price = terms.limit_price if self.limit_price is None else self.limit_price
        return replace(terms, quantity=self.quantity, symbol=self.symbol, limit_price=limit_price)


def latest(known: Restatement | None, other: Restatement) -> Restatement:
    """Return the later one; of two of one time always the same, in any order."""
    return other if known is None or _rank(other) > _rank(known) else known


def _rank(restatement: Restatement) -> tuple[datetime, Decimal, str, Decimal]:
    price = restatement.limit_price
    return restatement.at, restatement.quantity, restatement.symbol, ZERO if price is None else price
