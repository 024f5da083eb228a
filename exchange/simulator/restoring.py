"""Restores the exchange to the end of its journal file, so that a restart loses no order.

Acceptances and events of the journal are applied again in their order, through the same book. Planned actions, such as
the next execution, are planned again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from exchange.simulator.book import OrderBook
from exchange.simulator.faults import PlacementAnswer
from exchange.simulator.instruments import Instrument, unlisted_instrument
from exchange.simulator.journal import Entry, Journal
from exchange.simulator.orders import ZERO, Execution, Order, OrderTerms, OrderType, Side, Status, TimeInForce, shared

_ENDS = {each.value: each for each in (Status.CANCELED, Status.EXPIRED, Status.REPLACED, Status.REJECTED)}

Fields = Mapping[str, Any]


class JournalDamagedError(Exception):
    """The journal file cannot be read: move it away to start with an empty exchange."""


def restore(path: Path, *, book: OrderBook, journal: Journal, instruments: Mapping[str, Instrument]) -> None:
    """Fill the empty book and journal from the file.

    Raises:
        JournalDamagedError: a line is no entry, or entries are missing.
    """
    for line_number, line in enumerate(_whole_lines(path), start=1):
        try:
            fields = orjson.loads(line)
            if fields["number"] <= len(journal):
                # Written again because its delivery turned out otherwise.
                journal.entry(fields["number"]).withheld = tuple(fields["withheld"])
                continue
            if fields["number"] != len(journal) + 1:
                raise JournalDamagedError(f"{path}, line {line_number}: entry {len(journal) + 1} is missing")
            journal.restore(_entry(fields, book=book, instruments=instruments))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise JournalDamagedError(f"{path}, line {line_number}: {error!r}") from error


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Return the lines of the file. An incomplete last line was being written in a crash, and is removed from the
    file.
    """
    size = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            size += len(line)
            yield line
    with path.open("r+b") as file:
        file.truncate(size)


def _entry(fields: Fields, *, book: OrderBook, instruments: Mapping[str, Instrument]) -> Entry:
    at = _time(fields["at"])
    if fields["kind"] == "order":
        order = _order(fields, at=at, book=book, instruments=instruments)
        book.add(order)
        predecessor = book.find(order.replaces) if order.replaces else None
        if predecessor is not None:
            predecessor.replaced_by = order.id
        return _restored(fields, at=at, order=order, execution=None)
    found = _known_order(fields, book=book)
    if fields["kind"] == "forgotten":
        book.forget(found)
        return _restored(fields, at=at, order=found, execution=None)
    execution = _apply(fields, at=at, order=found, book=book, instruments=instruments)
    return _restored(fields, at=at, order=found, execution=execution)


def _known_order(fields: Fields, *, book: OrderBook) -> Order:
    order = book.find(fields["order_id"])
    if order is not None:
        return order
    # The order was forgotten, and one of its executions was revised after that.
    execution = _amended(fields, book=book)
    if execution is None:
        raise KeyError(fields["order_id"])
    return execution.order


def _order(fields: Fields, *, at: datetime, book: OrderBook, instruments: Mapping[str, Instrument]) -> Order:
    terms = OrderTerms(
        client_order_id=fields["client_order_id"],
        instrument=_instrument(fields, instruments),
        side=Side(fields["side"]),
        order_type=OrderType(fields["type"]),
        time_in_force=TimeInForce(fields["time_in_force"]),
        quantity=shared(Decimal(fields["qty"])),
        limit_price=None if fields["limit_price"] is None else shared(Decimal(fields["limit_price"])),
        extended_hours=fields["extended_hours"],
        wire_fields=fields.get("wire_fields"),
    )
    return Order(
        id=fields["order_id"],
        terms=terms,
        submitted_at=at,
        visible_at=_time(fields["visible_at"]),
        updated_at=at,
        fills_left=1,
        replaces=fields["replaces"],
        parent=book.find(fields["parent"]) if "parent" in fields else None,
    )


def _instrument(fields: Fields, instruments: Mapping[str, Instrument]) -> Instrument:
    symbol = fields["symbol"]
    return instruments.get(symbol) or unlisted_instrument(symbol) if "wire_fields" in fields else instruments[symbol]


def _restated_terms(fields: Fields, terms: OrderTerms, instruments: Mapping[str, Instrument]) -> OrderTerms:
    return replace(
        terms,
        instrument=instruments.get(fields["symbol"]) or unlisted_instrument(fields["symbol"]),
        quantity=shared(Decimal(fields["qty"])),
        limit_price=None if fields["limit_price"] is None else shared(Decimal(fields["limit_price"])),
        wire_fields=fields.get("wire_fields"),
    )


def _apply(
    fields: Fields, *, at: datetime, order: Order, book: OrderBook, instruments: Mapping[str, Instrument]
) -> Execution | None:
    """Apply the event to the order."""
    event, was_open = fields["event"], order.is_open
    execution = None
    if event in {"fill", "partial_fill"}:
        quantity, price = Decimal(fields["qty"]), Decimal(fields["price"])
        execution = book.record_execution(
            order, execution_id=fields["execution_id"], quantity=quantity, price=price, at=at
        )
    elif event in {"trade_correct", "trade_bust"}:
        execution = _revise(fields, at=at, book=book)
    elif event == "new":
        order.start_working(at=at)
    elif event == "held":
        order.hold(at=at)
    elif event == "pending_cancel":
        order.ask_cancel(at=at)
    elif event == "order_cancel_rejected" and was_open:
        order.refuse_cancel(at=at)
    elif event == "restated":
        order.restate(_restated_terms(fields["terms"], order.terms, instruments), at=at)
    elif event in _ENDS:
        order.end(_ENDS[event], at=at)
    if was_open and not order.is_open:
        book.note_closed()
    return execution


def _revise(fields: Fields, *, at: datetime, book: OrderBook) -> Execution:
    execution = _amended(fields, book=book)
    if execution is None:
        raise KeyError(fields["execution_id"])
    quantity = ZERO if fields["event"] == "trade_bust" else Decimal(fields["qty"])
    book.revise_execution(
        execution, own_id=fields["execution_id"], quantity=quantity, price=Decimal(fields["price"]), at=at
    )
    return execution


def _amended(fields: Fields, *, book: OrderBook) -> Execution | None:
    # In files of the version before, an amendment has the id of what it amends.
    return book.find_execution(fields.get("previous_execution_id") or fields["execution_id"])


def _restored(fields: Fields, *, at: datetime, order: Order, execution: Execution | None) -> Entry:
    return Entry(
        number=fields["number"],
        at=at,
        order=order,
        event=fields.get("event"),
        filled_quantity=order.filled_quantity,
        execution=execution,
        quantity=None if execution is None else shared(Decimal(fields["qty"])),
        price=None if execution is None else shared(Decimal(fields["price"])),
        execution_id=fields.get("execution_id"),
        previous_execution_id=fields.get("previous_execution_id"),
        reason=fields.get("reason"),
        terms=order.terms if fields["kind"] == "order" or "terms" in fields else None,
        answer=PlacementAnswer(fields["answer"]) if fields.get("answer") is not None else None,
        is_forgotten=fields["kind"] == "forgotten",
        withheld=tuple(fields["withheld"]),
        disturbed=tuple(fields.get("disturbed", ())),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
