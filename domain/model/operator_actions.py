"""Operators' actions in the audit trail: actor, address, action, reason, and the values before and after."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.model.limits import LIMIT_NAMES, AccountLimits, LastPrice
from domain.model.order import Order
from domain.model.values import format_decimal


class ActionKind(StrEnum):
    """What was done. Stable: programs may switch over it."""

    TRADING_HALTED = "TRADING_HALTED"
    TRADING_RESUMED = "TRADING_RESUMED"
    LIMITS_SET = "LIMITS_SET"
    LIMITS_CLEARED = "LIMITS_CLEARED"
    PRICE_SET = "PRICE_SET"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    TOKENS_REVOKED = "TOKENS_REVOKED"
    ORDER_REREAD = "ORDER_REREAD"
    ORDER_ADOPTED = "ORDER_ADOPTED"
    EXECUTION_BOOKED = "EXECUTION_BOOKED"
    EXECUTION_BUSTED = "EXECUTION_BUSTED"
    ORDER_ENDED = "ORDER_ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The actor: the subject of a token, with the token's id and the peer's address, or a user of an operating system.

    `account_ids` are the accounts of the token: actions on their orders are not an operator's. `alias` is the name that
    a user gave at the command line.
    """

    subject: str
    token_id: str | None = None
    address: str | None = None
    account_ids: frozenset[str] = frozenset()
    alias: str | None = None

    @property
    def name(self) -> str:
        """The name that halts, limits and log events show."""
        return self.alias or self.subject

    @property
    def full_name(self) -> str:
        """The name that the audit trail keeps: an alias never hides the subject."""
        return self.subject if self.alias is None else f"{self.subject} for {self.alias}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAction:
    """An action to be performed. It is stored by the statement that performs it, or not at all.

    `before` and `after` are JSON objects as text, None for no value.
    """

    id: UUID
    actor: Actor
    kind: ActionKind
    reason: str
    account_id: str | None = None
    order_id: UUID | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAction:
    """The action of an operator's stored request, to be performed: actor, action and reason are in the request.

    The statement that performs it marks the request as done; it has no effect if another one has.
    """

    resolution_id: UUID
    before: str
    after: str


ActionToStore = NewAction | RequestedAction


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """A stored action: its position in the chain of all actions, from 1 without gaps, and the chain's hash after it."""

    sequence: int
    id: UUID
    at: datetime
    actor: str
    token_id: str | None
    address: str | None
    action: str
    account_id: str | None
    order_id: UUID | None
    reason: str
    before: str | None
    after: str | None
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFilter:
    """Which actions to show: of one account, of one order."""

    account_id: str | None = None
    order_id: UUID | None = None


def limits_state(limits: AccountLimits | None) -> str | None:
    """Return the limits as the trail shows them, None when there are none."""
    if limits is None:
        return None
    return state({"setBy": limits.set_by, **{_camel_case(name): getattr(limits, name) for name in LIMIT_NAMES}})


def price_state(price: LastPrice | None) -> str | None:
    """Return the price for the trail, None when none is known."""
    return None if price is None else state({"isin": price.isin, "price": price.price, "at": price.at})


def order_state(order: Order) -> str:
    """Return what the trail shows of an order."""
    return state({"status": order.status, "version": order.version})


def state(values: Mapping[str, object]) -> str:
    """Return the values as a JSON object, its keys sorted, without spaces; decimals and moments are strings."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_as_text)


def moment_text(moment: datetime) -> str:
    """Return the moment in RFC 3339 with microseconds, in UTC: `2026-01-31T23:59:59.000000Z`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return moment_text(value)
    return str(value)


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
