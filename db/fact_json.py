"""Facts that are stored as JSON: reasons, restatements, and the successors of venue orders by their ids there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from domain.model.changes import PlacementState
from domain.model.facts import End, Facts, Successor, VenueCount, VenueRank
from domain.model.restatement import Restatement
from domain.model.values import (
    REASON_CODE_MAX_CHARACTERS,
    Reason,
    ReasonSource,
    format_decimal,
    storable,
    storable_reason,
)

NO_SUCCESSORS: Mapping[str, Successor] = {}


def reasons_as_json(reasons: Mapping[Any, Reason]) -> str:
    """Reasons by the name of their end or phase, as they are stored."""
    if not reasons:
        return "{}"
    return orjson.dumps({key.name: storable_reason(reason) for key, reason in reasons.items()}).decode()


def restatement_as_json(restatement: Restatement | None) -> str | None:
    """Return the venue's restatement as it is stored: decimals as texts, which preserve every digit."""
    if restatement is None:
        return None
    price = restatement.limit_price
    stored = {
        "at": restatement.at,
        "quantity": format_decimal(restatement.quantity),
        "symbol": storable(restatement.symbol, max_characters=REASON_CODE_MAX_CHARACTERS),
        "limit_price": None if price is None else format_decimal(price),
    }
    return orjson.dumps(stored).decode()


def restatement_of(stored: Mapping[str, str | None] | None) -> Restatement | None:
    """Return the restatement stored in that form."""
    if stored is None:
        return None
    at, quantity, price = stored["at"], stored["quantity"], stored["limit_price"]
    return Restatement(
        at=datetime.fromisoformat(str(at)).astimezone(UTC),
        quantity=Decimal(str(quantity)),
        symbol=str(stored["symbol"]),
        limit_price=None if price is None else Decimal(price),
    )


def placement_of_change(stored: Mapping[str, Any]) -> PlacementState:
    """How placing stood at a change, from what `db.write_statement` stores with it."""
    last, following = stored["last_attempt_at"], stored["next_attempt_at"]
    return PlacementState(
        attempts=stored["attempts"],
        last_attempt_at=None if last is None else datetime.fromisoformat(last).astimezone(UTC),
        next_attempt_at=None if following is None else datetime.fromisoformat(following).astimezone(UTC),
        last_error=stored["last_error"],
    )


def reason_of(stored: Mapping[str, str]) -> Reason:
    """Return the reason stored in that form."""
    return Reason(source=ReasonSource(stored["source"]), code=stored["code"], message=stored["message"])


def successors_as_json(successors: Mapping[str, Successor]) -> str | None:
    """Return the successors as they are stored, decimals as texts; None for none, the usual case."""
    if not successors:
        return None
    return orjson.dumps({name: _stored(one) for name, one in successors.items()}).decode()


def successors_of(stored: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Successor]:
    """Return the successors stored in that form."""
    if stored is None:
        return NO_SUCCESSORS
    return {name: _successor(one, venue_order_id=name) for name, one in stored.items()}


def _stored(one: Successor) -> Mapping[str, object]:
    own, count = one.facts, one.facts.count
    restatement = restatement_as_json(own.restatement)
    return {
        "replaces": one.replaces,
        "linked_at": one.linked_at,
        "venue_client_order_id": one.venue_client_order_id,
        "completed": None if one.completed is None else format_decimal(one.completed),
        "ended_at": one.ended_at,
        "rank": own.rank,
        "filled_quantity": format_decimal(own.filled_quantity),
        "ends": sorted(own.ends),
        "end_reasons": orjson.Fragment(reasons_as_json(own.end_reasons)),
        "count": None if count is None else {"at": count.at, "quantity": format_decimal(count.quantity)},
        "restatement": None if restatement is None else orjson.Fragment(restatement),
    }


def _successor(stored: Mapping[str, Any], *, venue_order_id: str) -> Successor:
    completed, ended_at, count = stored["completed"], stored["ended_at"], stored["count"]
    return Successor(
        replaces=stored["replaces"],
        linked_at=_moment(stored["linked_at"]),
        venue_client_order_id=stored["venue_client_order_id"],
        completed=None if completed is None else Decimal(completed),
        ended_at=None if ended_at is None else _moment(ended_at),
        facts=Facts(
            venue_order_id=venue_order_id,
            rank=VenueRank(stored["rank"]),
            filled_quantity=Decimal(stored["filled_quantity"]),
            ends=frozenset(map(End, stored["ends"])),
            end_reasons={End[name]: reason_of(reason) for name, reason in stored["end_reasons"].items()},
            count=None if count is None else VenueCount(at=_moment(count["at"]), quantity=Decimal(count["quantity"])),
            restatement=restatement_of(stored["restatement"]),
        ),
    )


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written).astimezone(UTC)
