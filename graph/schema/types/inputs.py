"""The inputs of clients."""

from datetime import datetime
from typing import TypeVar

import strawberry

from domain.model.accounts import ACCOUNT_ID_MAX_CHARACTERS, is_account_id
from graph.errors import bad_input
from graph.schema.enums import OrderStatus, OrderType, Side, TimeInForce
from graph.schema.scalars import GivenDecimal, GivenIsin

TEXT_MAX_CHARACTERS = 128
REASON_MAX_CHARACTERS = 500
OPTIONAL_REASON = (
    "Why, for the audit trail of operators; the account does not see it. At most 500 characters. What an account does "
    "itself is not in that trail."
)

Given = TypeVar("Given")


def given(value: Given | None) -> Given | None:
    """Return the value, or None when the client left it out: the schema then prints no default for it."""
    return None if value is strawberry.UNSET else value


def checked_text(name: str, text: str) -> str:
    """Return the text; raise BAD_USER_INPUT when it is too long or contains characters that no database column can
    store (such as NUL).
    """
    if len(text) > TEXT_MAX_CHARACTERS or not text.isprintable():
        raise bad_input(f"{name} must be at most {TEXT_MAX_CHARACTERS} printable characters.")
    return text


def checked_reason(text: str | None, *, is_required: bool) -> str:
    """Return the reason without leading and trailing blanks, empty without one; raise BAD_USER_INPUT."""
    reason = (given(text) or "").strip()
    if (is_required and not reason) or len(reason) > REASON_MAX_CHARACTERS or not reason.isprintable():
        least = 1 if is_required else 0
        raise bad_input(f"reason must be {least} to {REASON_MAX_CHARACTERS} printable characters.")
    return reason


def given_account(account_id: strawberry.ID | None) -> str | None:
    """Return the id of an account, or None when the client left it out; raise BAD_USER_INPUT for an invalid one."""
    text = given(account_id)
    if text is not None and not is_account_id(text):
        raise bad_input(f"accountId must be 1 to {ACCOUNT_ID_MAX_CHARACTERS} printable characters.")
    return text


@strawberry.input
class OrderFilter:
    statuses: list[OrderStatus] | None = strawberry.UNSET
    is_final: bool | None = strawberry.UNSET
    isins: list[GivenIsin] | None = strawberry.UNSET
    side: Side | None = strawberry.UNSET
    created_from: datetime | None = strawberry.UNSET
    created_before: datetime | None = strawberry.UNSET
    updated_from: datetime | None = strawberry.UNSET
    account_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Operators only.")


@strawberry.input
class PlaceOrderInput:
    client_order_id: str = strawberry.field(
        description=(
            "Chosen by the client, one for each intent (a UUID serves), 1 to 48 characters of A-Z a-z 0-9 . _ : - "
            "and unique in the account for ever. Sent again unchanged on every retry: the same order comes back and "
            "nothing is placed twice."
        )
    )
    isin: GivenIsin
    side: Side
    type: OrderType
    quantity: GivenDecimal
    limit_price: GivenDecimal | None = strawberry.field(
        default=strawberry.UNSET, description="Required for LIMIT, refused for MARKET."
    )
    time_in_force: TimeInForce | None = TimeInForce.DAY
    account_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "The account that the order is for: one that the token names. Needed when it names several, else it is the "
            "token's only one."
        ),
    )


@strawberry.input
class CancelOrderInput:
    order_id: strawberry.ID
    reason: str | None = strawberry.field(default=strawberry.UNSET, description=OPTIONAL_REASON)
