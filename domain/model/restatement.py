"""The terms of an order as the venue has changed them: by a split, by a new symbol, by its staff.

What the client asked for never changes; a restatement is a fact beside it. Of several the latest by the venue's clock
holds, so that their order is irrelevant.
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
        """Return the terms as they are now, from those that were asked for."""
        limit_price = terms.limit_price if self.limit_price is None else self.limit_price
        return replace(terms, quantity=self.quantity, symbol=self.symbol, limit_price=limit_price)


def latest(known: Restatement | None, other: Restatement) -> Restatement:
    """Return the later one; of two of one moment always the same, whichever came first."""
    return other if known is None or _rank(other) > _rank(known) else known


def _rank(restatement: Restatement) -> tuple[datetime, Decimal, str, Decimal]:
    price = restatement.limit_price
    return restatement.at, restatement.quantity, restatement.symbol, ZERO if price is None else price
