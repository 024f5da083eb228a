"""The account's position in one instrument: its signed quantity and its cost. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from exchange.simulator.orders import ZERO


@dataclass(slots=True)
class AccountHolding:
    """A long position has a positive quantity and cost, a short one negative ones. The cost is in the currency."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average_entry_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, *, signed_quantity: Decimal, price: Decimal) -> None:
        """Add one execution; a sale has a negative quantity. Closing does not change the average entry price of the
        rest.
        """
        before = self.quantity
        after = before + signed_quantity
        if before * signed_quantity >= 0:
            self.cost += signed_quantity * price
        elif before * after > 0:
            self.cost = self.average_entry_price * after
        else:
            # The execution closed the whole position; its remainder opened one on the other side.
            self.cost = after * price
        self.quantity = after
