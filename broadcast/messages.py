"""The one message format: some changes of one account, in order. Pure.

Decimals travel as texts and times as RFC 3339 to the microsecond, so that a change is read exactly as it was written.
The envelope (version, account, newest sequence) is the same in every version: a process of another release that
cannot read the changes still learns that they exist, and reads them from the database.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from asyncpg.pgproto.pgproto import UUID  # The driver's reads a text in a sixth of the time; it is a uuid.UUID.

from broadcast.envelope import SHAPE_ERRORS, Envelope, Json, Message, MessageError, MessageSigner, Refusal
from broadcast.fields import optional, read_count, read_decimal, read_notional, read_text, read_time
from broadcast.shards import channel_of, shard_of
from domain.model.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange
from domain.model.order import OrderStatus
from domain.model.restatement import Restatement
from domain.model.values import OrderType, Reason, ReasonSource, Side, Terms, TimeInForce

Member = TypeVar("Member", bound=StrEnum)


def _by_value(kind: type[Member]) -> Mapping[str, Member]:
    """Return the members by their texts: a look-up costs a fifth of calling the enum."""
    return {member.value: member for member in kind}


_KINDS, _STATUSES, _SOURCES = _by_value(ChangeKind), _by_value(OrderStatus), _by_value(ReasonSource)
_SIDES, _TYPES, _TIMES_IN_FORCE = _by_value(Side), _by_value(OrderType), _by_value(TimeInForce)


def encode(changes: Sequence[RecordedChange], *, signer: MessageSigner) -> Message:
    """Write some changes of one account (at least one), in the order of their sequence, for the account's channel."""
    account_id = changes[0].order.account_id
    return signer.seal(
        channel=channel_of(shard_of(account_id)),
        account_id=account_id,
        newest=changes[-1].sequence,
        changes=[_change_json(change) for change in changes],
    )


def decode(envelope: Envelope) -> Sequence[RecordedChange]:
    """Build the changes; none for a version that this release does not know. Raises MessageError."""
    try:
        return [_change(content, account_id=envelope.account_id) for content in envelope.contents]
    except SHAPE_ERRORS as error:
        raise MessageError(Refusal.CONTENT, f"a change cannot be read: {error!r}") from None


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
        sequence=read_count(data["sequence"]),
        kind=_KINDS[data["kind"]],
        at=read_time(data["at"]),
        order=_order(data["order"], account_id=account_id),
        execution=optional(_execution, data["execution"]),
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
        **({} if order.venue_filled_quantity is None else {"counted": str(order.venue_filled_quantity)}),
        **({} if order.restatement is None else {"restatement": _restatement_json(order.restatement)}),
    }


def _order(data: Json, *, account_id: str) -> OrderSnapshot:
    return OrderSnapshot(
        id=UUID(data["id"]),
        account_id=account_id,
        terms=_terms(data["terms"]),
        status=_STATUSES[data["status"]],
        filled_quantity=read_decimal(data["filled_quantity"]),
        notional=read_notional(data["notional"]),
        reason=optional(_reason, data["reason"]),
        venue_order_id=optional(read_text, data["venue_order_id"]),
        placement=_placement(data["placement"]),
        version=read_count(data["version"]),
        created_at=read_time(data["created_at"]),
        updated_at=read_time(data["updated_at"]),
        # A process of the version before does not write these.
        venue_filled_quantity=optional(read_decimal, data.get("counted")),
        restatement=optional(_restatement, data.get("restatement")),
    )


def _restatement_json(restatement: Restatement) -> list[object]:
    price = restatement.limit_price
    return [restatement.at, str(restatement.quantity), restatement.symbol, None if price is None else str(price)]


def _restatement(data: Sequence[Any]) -> Restatement:
    at, quantity, symbol, price = data
    return Restatement(
        at=read_time(at),
        quantity=read_decimal(quantity),
        symbol=read_text(symbol),
        limit_price=optional(read_decimal, price),
    )


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
        client_order_id=read_text(data["client_order_id"]),
        isin=read_text(data["isin"]),
        symbol=read_text(data["symbol"]),
        side=_SIDES[data["side"]],
        type=_TYPES[data["type"]],
        time_in_force=_TIMES_IN_FORCE[data["time_in_force"]],
        quantity=read_decimal(data["quantity"]),
        limit_price=optional(read_decimal, data["limit_price"]),
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
        attempts=read_count(data["attempts"]),
        last_attempt_at=optional(read_time, data["last_attempt_at"]),
        next_attempt_at=optional(read_time, data["next_attempt_at"]),
        last_error=optional(read_text, data["last_error"]),
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
        quantity=read_decimal(data["quantity"]),
        price=read_decimal(data["price"]),
        executed_at=read_time(data["executed_at"]),
        received_at=read_time(data["received_at"]),
    )


def _reason(data: Sequence[Any]) -> Reason:
    source, code, message = data
    return Reason(source=_SOURCES[source], code=read_text(code), message=read_text(message))
