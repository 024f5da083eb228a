"""The hash chains of the audit trail: the canonical form of an action and of a change, and the hash of each link.

docs/audit.md describes both byte by byte, with examples, so that another program can verify them. The function
`append_operator_action` of the database computes the same hash of an action (see migration 0006).
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.model.operator_actions import OperatorAction, moment_text
from domain.model.restatement import Restatement
from domain.model.values import format_decimal

ACTIONS_TAG = "fillwire/operator-actions/1"
CHANGES_TAG = "fillwire/order-changes/1"

Texts = Sequence[str | None]
"""The fields of a link as texts, in the order of the canonical form."""


class ChangeRecord(NamedTuple):
    """One row of `order_changes`, in the order of the canonical form.

    `restatement` is the text of `restatement_text`; a row without one has no such field.
    """

    account_id: str
    sequence: int
    order_id: UUID
    version: int
    kind: str
    at: datetime
    status: str
    filled_quantity: Decimal
    notional: Decimal
    reason_source: str | None
    reason_code: str | None
    reason_message: str | None
    venue_order_id: str | None
    execution_id: UUID | None
    execution_quantity: Decimal | None
    execution_price: Decimal | None
    executed_at: datetime | None
    received_at: datetime | None
    restatement: str | None = None


class ChainHead(NamedTuple):
    """The position of a chain: the sequence of its last link, 0 before the first, and the hash after it."""

    sequence: int
    hash: str


ACTION_FIELDS = (
    "sequence",
    "id",
    "at",
    "actor",
    "token_id",
    "address",
    "action",
    "account_id",
    "order_id",
    "reason",
    "before",
    "after",
)


def canonical(fields: Iterable[str | None]) -> bytes:
    """Return the fields as netstrings in UTF-8 (`<bytes>:<text>,`) one after the other; None is `-`."""
    parts = []
    for field in fields:
        if field is None:
            parts.append(b"-")
        else:
            text = field.encode()
            parts.append(b"%d:%b," % (len(text), text))
    return b"".join(parts)


def link_hash(tag: str, previous_hash: str, fields: Iterable[str | None]) -> str:
    """Return the hash of a link: SHA-256, in lower-case hexadecimal, of the tag, the hash before it and its fields."""
    return hashlib.sha256(canonical((tag, previous_hash, *fields))).hexdigest()


def actions_genesis() -> ChainHead:
    """Return the head of the chain of actions before the first one."""
    return ChainHead(0, hashlib.sha256(canonical((ACTIONS_TAG,))).hexdigest())


def account_genesis(account_id: str) -> ChainHead:
    """Return the head of the account's chain before its first change is sealed."""
    return ChainHead(0, hashlib.sha256(canonical((CHANGES_TAG, account_id))).hexdigest())


def action_texts(action: OperatorAction) -> Texts:
    """Return the fields of an action as texts."""
    return tuple(_text(getattr(action, name)) for name in ACTION_FIELDS)


def change_texts(change: ChangeRecord) -> Texts:
    """Return the fields of a change as texts; the terms as the venue has changed them only where it has."""
    texts = tuple(map(_text, change))
    return texts if change.restatement is not None else texts[:-1]


def restatement_text(restatement: Restatement) -> str:
    """Return the time, the quantity, the limit price or `-`, and the symbol, with a space between two of them."""
    price = restatement.limit_price
    limit_price = "-" if price is None else format_decimal(price)
    quantity = format_decimal(restatement.quantity)
    return f"{moment_text(restatement.at)} {quantity} {limit_price} {restatement.symbol}"


def action_hash(previous_hash: str, action: OperatorAction) -> str:
    """Return the hash after the action."""
    return link_hash(ACTIONS_TAG, previous_hash, action_texts(action))


def change_hash(previous_hash: str, change: ChangeRecord) -> str:
    """Return the hash after the change."""
    return link_hash(CHANGES_TAG, previous_hash, change_texts(change))


def _text(value: object) -> str | None:
    """Return the one text of a value: ids in lower-case hexadecimal with hyphens, decimals without trailing zeros."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return moment_text(value)
    return str(value)
