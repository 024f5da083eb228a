"""The one message format: some changes of one account, in order. Pure.

Decimals travel as texts and times as RFC 3339 to the microsecond, so that a change is read exactly as it was written.
The envelope (version, account, newest sequence) is the same in every version: a process of another release that
cannot read the changes still learns that they exist, and reads them from the database.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from asyncpg.pgproto.pgproto import UUID  # The driver's reads a text in a sixth of the time; it is a uuid.UUID.

from domain.model.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange
from domain.model.frozen import frozen
from domain.model.order import OrderStatus
from domain.model.restatement import Restatement
from domain.model.values import OrderType, Reason, ReasonSource, Side, Terms, TimeInForce

VERSION = 1

# What reading a well-formed JSON of a wrong shape can raise.
_SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError)

Json = Mapping[str, Any]
Member = TypeVar("Member", bound=StrEnum)


def _by_value(kind: type[Member]) -> Mapping[str, Member]:
    """The members by their texts: looking one up costs a fifth of calling the enum."""
    return {member.value: member for member in kind}


_KINDS, _STATUSES, _SOURCES = _by_value(ChangeKind), _by_value(OrderStatus), _by_value(ReasonSource)
_SIDES, _TYPES, _TIMES_IN_FORCE = _by_value(Side), _by_value(OrderType), _by_value(TimeInForce)


class MessageError(ValueError):
    """A message that is not in this format."""


@frozen
class Envelope:
    """A message whose changes are not built yet: most messages of a shard are for accounts that nobody follows."""

    version: int
    account_id: str
    newest: int
    contents: Sequence[Json]


def encode(changes: Sequence[RecordedChange]) -> bytes:
    """Write some changes of one account (at least one), in the order of their sequence."""
    return orjson.dumps(
        {
            "v": VERSION,
            "account": changes[0].order.account_id,
            "newest": changes[-1].sequence,
            "changes": [_change_json(change) for change in changes],
        }
    )


def open_envelope(raw: bytes) -> Envelope:
    """Read the part that is the same in every version of the format. Raise MessageError."""
    try:
        data = orjson.loads(raw)
        version, account_id, newest = data["v"], data["account"], data["newest"]
        contents = data["changes"] if version == VERSION else ()
    except _SHAPE_ERRORS as error:
        raise MessageError(f"not a message of changes: {error!r}") from None
    if not (isinstance(account_id, str) and isinstance(newest, int) and isinstance(contents, list | tuple)):
        raise MessageError("not a message of changes: a part has the wrong type")
    return Envelope(version=version, account_id=account_id, newest=newest, contents=contents)


def decode(envelope: Envelope) -> Sequence[RecordedChange]:
    """Build the changes; none for a version that this release does not know. Raises MessageError."""
    try:
        return [_change(content, account_id=envelope.account_id) for content in envelope.contents]
    except _SHAPE_ERRORS as error:
        raise MessageError(f"a change cannot be read: {error!r}") from None


def _change_json(change: RecordedChange) -> dict[str, object]:
    return {
        "sequence": change.sequence,
        "kind": change.kind,
        "at": change.at,
        "order": _order_json(change.order),
        "execution": None if change.execution is None else _execution_json(change.execution),
    }


def _change(data: Json, *, account_id: str) -> RecordedChange:
    return RecordedChange(
        sequence=_integer(data["sequence"]),
        kind=_KINDS[data["kind"]],
        at=_time(data["at"]),
        order=_order(data["order"], account_id=account_id),
        execution=_optional(_execution, data["execution"]),
    )


def _order_json(order: OrderSnapshot) -> dict[str, object]:
    return {
        "id": str(order.id),
        "terms": _terms_json(order.terms),
        "status": order.status,
        "filled_quantity": str(order.filled_quantity),
        "notional": str(order.notional),
        "reason": None if order.reason is None else [order.reason.source, order.reason.code, order.reason.message],
        "venue_order_id": order.venue_order_id,
        "placement": _placement_json(order.placement),
        "version": order.version,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "restatement": None if order.restatement is None else _restatement_json(order.restatement),
    }


def _order(data: Json, *, account_id: str) -> OrderSnapshot:
    return OrderSnapshot(
        id=UUID(data["id"]),
        account_id=account_id,
        terms=_terms(data["terms"]),
        status=_STATUSES[data["status"]],
        filled_quantity=_decimal(data["filled_quantity"]),
        notional=_decimal(data["notional"]),
        reason=_optional(_reason, data["reason"]),
        venue_order_id=_optional(_text, data["venue_order_id"]),
        placement=_placement(data["placement"]),
        version=_integer(data["version"]),
        created_at=_time(data["created_at"]),
        updated_at=_time(data["updated_at"]),
        # The last release writes none.
        restatement=_optional(_restatement, data.get("restatement")),
    )


def _restatement_json(restatement: Restatement) -> list[object]:
    price = restatement.limit_price
    return [restatement.at, str(restatement.quantity), restatement.symbol, None if price is None else str(price)]


def _restatement(data: Sequence[Any]) -> Restatement:
    at, quantity, symbol, price = data
    limit_price = _optional(_decimal, price)
    return Restatement(at=_time(at), quantity=_decimal(quantity), symbol=_text(symbol), limit_price=limit_price)


def _terms_json(terms: Terms) -> dict[str, object]:
    return {
        "client_order_id": terms.client_order_id,
        "isin": terms.isin,
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "time_in_force": terms.time_in_force,
        "quantity": str(terms.quantity),
        "limit_price": None if terms.limit_price is None else str(terms.limit_price),
    }


def _terms(data: Json) -> Terms:
    return Terms(
        client_order_id=_text(data["client_order_id"]),
        isin=_text(data["isin"]),
        symbol=_text(data["symbol"]),
        side=_SIDES[data["side"]],
        type=_TYPES[data["type"]],
        time_in_force=_TIMES_IN_FORCE[data["time_in_force"]],
        quantity=_decimal(data["quantity"]),
        limit_price=_optional(_decimal, data["limit_price"]),
    )


def _placement_json(placement: PlacementState) -> dict[str, object]:
    return {
        "attempts": placement.attempts,
        "last_attempt_at": placement.last_attempt_at,
        "next_attempt_at": placement.next_attempt_at,
        "last_error": placement.last_error,
    }


def _placement(data: Json) -> PlacementState:
    return PlacementState(
        attempts=_integer(data["attempts"]),
        last_attempt_at=_optional(_time, data["last_attempt_at"]),
        next_attempt_at=_optional(_time, data["next_attempt_at"]),
        last_error=_optional(_text, data["last_error"]),
    )


def _execution_json(execution: ExecutionView) -> dict[str, object]:
    return {
        "id": str(execution.id),
        "quantity": str(execution.quantity),
        "price": str(execution.price),
        "executed_at": execution.executed_at,
        "received_at": execution.received_at,
    }


def _execution(data: Json) -> ExecutionView:
    return ExecutionView(
        id=UUID(data["id"]),
        quantity=_decimal(data["quantity"]),
        price=_decimal(data["price"]),
        executed_at=_time(data["executed_at"]),
        received_at=_time(data["received_at"]),
    )


def _reason(data: Sequence[Any]) -> Reason:
    source, code, message = data
    return Reason(source=_SOURCES[source], code=_text(code), message=_text(message))


def _optional(read: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401 - the type is that of `read`
    return None if value is None else read(value)


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # As it is written here, but by a process of another zone.
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _decimal(text: str) -> Decimal:
    return Decimal(_text(text))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, not {value!r}")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a number, not {value!r}")
    return value
