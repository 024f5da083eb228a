"""Limits and halts as seen by accounts and operators."""

from datetime import datetime
from decimal import Decimal
from typing import Self

import strawberry

from domain.model import limits
from domain.model.limits import ORDERS_PER_SECOND_MAX, LimitCode
from domain.ports import trading_control
from graph.schema.global_ids import halt_node_id
from graph.schema.scalars import GivenDecimal
from graph.schema.types.inputs import OPTIONAL_REASON, given
from graph.schema.types.node import Node


@strawberry.type(
    description=(
        "Pre-trade limits of an account; null where there is none. An order that breaks one is OrderDenied, with the "
        f"limit's code: {', '.join(LimitCode)}."
    )
)
class AccountLimits:
    account_id: strawberry.ID | None = strawberry.field(
        description="The account that they were set for; null: the defaults of every account without limits of its own."
    )
    max_quantity: Decimal | None = strawberry.field(description="MAX_QUANTITY: the largest quantity of one order.")
    max_notional: Decimal | None = strawberry.field(
        description=(
            "MAX_NOTIONAL: the largest quantity times price of one order, in the instrument's currency. A market order "
            "counts at the last known price; without any, it is denied."
        )
    )
    price_collar_percent: Decimal | None = strawberry.field(
        description=(
            "PRICE_COLLAR: how far a limit price may be from the last known price, either way, in percent of it. "
            "Without any known price a limit order is denied."
        )
    )
    max_open_orders: int | None = strawberry.field(
        description="MAX_OPEN_ORDERS: how many orders that are not final an account may have."
    )
    max_orders_per_second: int | None = strawberry.field(
        description=(
            "ORDER_RATE: how many orders may be accepted within any one second, whichever process takes them. Null: "
            "as the server is set up."
        )
    )
    set_at: datetime | None = strawberry.field(description="Null when nobody has set any.")
    set_by: str | None = strawberry.field(description="The operator who set them. Operators only.")

    @classmethod
    def of(cls, found: limits.AccountLimits, *, for_operator: bool) -> Self:
        """Return the limits in public form."""
        return cls(
            account_id=None if found.account_id is None else strawberry.ID(found.account_id),
            max_quantity=found.max_quantity,
            max_notional=found.max_notional,
            price_collar_percent=found.price_collar_percent,
            max_open_orders=found.max_open_orders,
            max_orders_per_second=found.max_orders_per_second,
            set_at=found.set_at,
            set_by=found.set_by if for_operator else None,
        )


@strawberry.type(
    description=(
        "A time in which nothing new is accepted or sent, for one account or for all. Orders can be canceled. It is "
        "changed only once, when it ends. Operators only."
    )
)
class TradingHalt(Node):
    account_id: strawberry.ID | None = strawberry.field(description="Null: all accounts.")
    halted_at: datetime
    halted_by: str = strawberry.field(description="The operator.")
    halt_reason: str
    resumed_at: datetime | None = strawberry.field(description="Null while it holds.")
    resumed_by: str | None
    resume_reason: str | None


def halt_from(halt: trading_control.TradingHalt) -> TradingHalt:
    """Return the halt in public form."""
    return TradingHalt(
        id=halt_node_id(halt.id),
        account_id=None if halt.account_id is None else strawberry.ID(halt.account_id),
        halted_at=halt.halted_at,
        halted_by=halt.halted_by,
        halt_reason=halt.halt_reason,
        resumed_at=halt.resumed_at,
        resumed_by=halt.resumed_by,
        resume_reason=halt.resume_reason,
    )


_WHOM = "The account. For all of them leave it out, and say `everybody`."
_EVERYBODY = "True, and no accountId: all accounts. One of both is needed, so that nobody means everybody by a lost id."
_DEFAULTS = "True, and no accountId: the defaults of every account without limits of its own. One of both is needed."


@strawberry.input
class HaltTradingInput:
    account_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description=_WHOM)
    everybody: bool = strawberry.field(default=False, description=_EVERYBODY)
    reason: str = strawberry.field(description="For the trail; the account does not see it. 1 to 500 characters.")


@strawberry.input
class ResumeTradingInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description=f"{_WHOM} A halt of one account outlasts the end of the halt of all."
    )
    everybody: bool = strawberry.field(default=False, description=_EVERYBODY)
    reason: str = strawberry.field(description="For the trail; the account does not see it. 1 to 500 characters.")


@strawberry.input(
    description="All limits of the account at once: one that is left out is none, and one is needed. See AccountLimits."
)
class SetAccountLimitsInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The account. For the defaults leave it out, and say `everybody`."
    )
    everybody: bool = strawberry.field(default=False, description=_DEFAULTS)
    reason: str | None = strawberry.field(default=strawberry.UNSET, description=OPTIONAL_REASON)
    max_quantity: GivenDecimal | None = strawberry.UNSET
    max_notional: GivenDecimal | None = strawberry.UNSET
    price_collar_percent: GivenDecimal | None = strawberry.UNSET
    max_open_orders: int | None = strawberry.UNSET
    max_orders_per_second: int | None = strawberry.field(
        default=strawberry.UNSET, description=f"1 to {ORDERS_PER_SECOND_MAX}."
    )

    def decimals(self) -> dict[str, GivenDecimal | None]:
        """Return the decimals by the names of the domain's fields; None for missing ones."""
        return {
            "max_quantity": given(self.max_quantity),
            "max_notional": given(self.max_notional),
            "price_collar_percent": given(self.price_collar_percent),
        }


@strawberry.input
class ClearAccountLimitsInput:
    account_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The account. For the defaults leave it out, and say `everybody`."
    )
    everybody: bool = strawberry.field(default=False, description=_DEFAULTS)
    reason: str | None = strawberry.field(default=strawberry.UNSET, description=OPTIONAL_REASON)
