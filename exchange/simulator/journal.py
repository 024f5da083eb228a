"""The record of everything that happened at the simulated exchange: every accepted order and every event, numbered from
1.

The entry of an external order has its `wire_fields` and no `answer`, that of a leg its `parent`. An entry of the kind
`forgotten` names an order that a control removed.

Each entry shows what the client did not receive. For an order: `hidden` (look-ups do not find it for a while) and
`answer` (the submission was accepted and not answered normally). For an event: `dropped`, `muted`, `no_listener`,
`overflow` (the listener did not read) or `cut` (the connection ended with the event still in the buffer). Faults
without a loss have separate names: `duplicated`, `reordered`, `delayed`, `no_timestamp`.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import orjson

from exchange.simulator.faults import PlacementAnswer
from exchange.simulator.orders import Execution, Order, OrderTerms
from exchange.simulator.wire_values import decimal_text, time_text

READ_DEFAULT_ENTRIES = 10_000
READ_MAX_ENTRIES = 100_000


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One line of the journal. `event` is None for an order's acceptance, and when it was forgotten.

    Quantity and price are those of the execution in the event, `execution_id` is the id in the event, and
    `previous_execution_id` the one that a bust or correction amends. `terms` are the order's as it was accepted, or
    after a `restated` event.
    """

    number: int
    at: datetime
    order: Order
    event: str | None
    filled_quantity: Decimal
    execution: Execution | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    execution_id: str | None = None
    previous_execution_id: str | None = None
    reason: str | None = None
    terms: OrderTerms | None = None
    answer: PlacementAnswer | None = None
    is_forgotten: bool = False
    withheld: tuple[str, ...] = ()
    disturbed: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["order", "event", "forgotten"]:
        if self.is_forgotten:
            return "forgotten"
        return "order" if self.event is None else "event"


class Journal:
    """All entries, in memory; with a path each is also appended to that file as a line of JSON.

    An entry whose delivery changes is written to the file again: the last line of a number counts.
    """

    def __init__(self, path: Path | None) -> None:
        self._entries: list[Entry] = []
        # Unbuffered: the file is read after a crash, and a line costs one system call.
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __len__(self) -> int:
        return len(self._entries)

    def record_order(self, order: Order, *, answer: PlacementAnswer | None) -> Entry:
        """Add the acceptance of an order. `answer` is None for an external order."""
        hidden = ("hidden",) if order.visible_at > order.submitted_at else ()
        withheld = hidden if answer in {None, PlacementAnswer.GIVEN} else (*hidden, "answer")
        entry = Entry(
            number=len(self._entries) + 1,
            at=order.submitted_at,
            order=order,
            event=None,
            filled_quantity=order.filled_quantity,
            terms=order.terms,
            answer=answer,
            withheld=withheld,
        )
        return self._add_and_write(entry)

    def record_forgotten(self, order: Order, *, at: datetime) -> Entry:
        """Add that a control removed the order."""
        entry = Entry(
            number=len(self._entries) + 1,
            at=at,
            order=order,
            event=None,
            filled_quantity=order.filled_quantity,
            is_forgotten=True,
        )
        return self._add_and_write(entry)

    def record_event(
        self,
        event: str,
        order: Order,
        *,
        at: datetime,
        execution: Execution | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        previous_execution_id: str | None = None,
        reason: str | None = None,
        terms: OrderTerms | None = None,
        withheld: tuple[str, ...] = (),
    ) -> Entry:
        """Add an event. The caller writes it to the file once its delivery is known."""
        entry = Entry(
            number=len(self._entries) + 1,
            at=at,
            order=order,
            event=event,
            filled_quantity=order.filled_quantity,
            execution=execution,
            quantity=quantity,
            price=price,
            execution_id=None if execution is None else execution.id,
            previous_execution_id=previous_execution_id,
            reason=reason,
            terms=terms,
            withheld=withheld,
        )
        self._entries.append(entry)
        return entry

    def _add_and_write(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        self.write(entry)
        return entry

    def restore(self, entry: Entry) -> None:
        """Add an entry that is in the file already."""
        self._entries.append(entry)

    def entry(self, number: int) -> Entry:
        return self._entries[number - 1]

    def read(self, *, after: int, limit: int) -> list[Entry]:
        """Return the entries with a number above `after`, at most `limit` of them."""
        return self._entries[after : after + limit]

    def write(self, entry: Entry) -> None:
        if self._file is not None:
            os.write(self._file, orjson.dumps(entry_json(entry), option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def entry_json(entry: Entry) -> dict[str, object]:
    """Return the entry as in the controls and in the file."""
    order = entry.order
    shown: dict[str, object] = {
        "number": entry.number,
        "kind": entry.kind,
        "at": time_text(entry.at),
        "order_id": order.id,
        "client_order_id": order.terms.client_order_id,
        "withheld": entry.withheld,
    }
    parts = {"order": _order_part, "event": _event_part, "forgotten": _forgotten_part}
    return shown | parts[entry.kind](entry)


def _order_part(entry: Entry) -> dict[str, object]:
    order, terms = entry.order, entry.terms or entry.order.terms
    part: dict[str, object] = {
        "symbol": terms.instrument.symbol,
        "side": terms.side,
        "type": terms.order_type,
        "time_in_force": terms.time_in_force,
        "qty": decimal_text(terms.quantity),
        "limit_price": decimal_text(terms.limit_price),
        "extended_hours": terms.extended_hours,
        "replaces": order.replaces,
        "visible_at": time_text(order.visible_at),
        "answer": None if entry.answer is None else entry.answer.value,
    }
    if terms.is_external:
        part["wire_fields"] = terms.wire_fields
    if order.parent is not None:
        part["parent"] = order.parent.id
    return part


def _event_part(entry: Entry) -> dict[str, object]:
    part: dict[str, object] = {
        "event": entry.event,
        "execution_id": entry.execution_id,
        "qty": decimal_text(entry.quantity),
        "price": decimal_text(entry.price),
        "filled_qty": decimal_text(entry.filled_quantity),
        "reason": entry.reason,
        "disturbed": entry.disturbed,
    }
    if entry.previous_execution_id is not None:
        part["previous_execution_id"] = entry.previous_execution_id
    if entry.terms is not None:
        part["terms"] = _restated_part(entry.terms)
    return part


def _restated_part(terms: OrderTerms) -> dict[str, object]:
    part: dict[str, object] = {
        "symbol": terms.instrument.symbol,
        "qty": decimal_text(terms.quantity),
        "limit_price": decimal_text(terms.limit_price),
    }
    return part if terms.wire_fields is None else {**part, "wire_fields": terms.wire_fields}


def _forgotten_part(_entry: Entry) -> dict[str, object]:
    return {}
