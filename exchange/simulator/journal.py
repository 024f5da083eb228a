"""The truth about what happened at the simulated exchange: every accepted order and every event, numbered from 1.

Each entry says what the client was not told. For an order: `hidden` (look-ups do not find it for a while) and
`answer` (the placement was accepted and not plainly answered). For an event: `dropped`, `muted`, `no_listener`,
`overflow` (the listener did not read) or `cut` (the connection ended with the event still in the buffer). Disturbances
that withhold nothing are named apart: `duplicated`, `reordered`, `delayed`.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import orjson

from exchange.simulator.faults import PlacementAnswer
from exchange.simulator.orders import Execution, Order
from exchange.simulator.wire_values import decimal_text, time_text

READ_DEFAULT_ENTRIES = 10_000
READ_MAX_ENTRIES = 100_000


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One line of the journal. `event` is None where the entry is an order's acceptance.

    Quantity and price are those of the execution as the event told them.
    """

    number: int
    at: datetime
    order: Order
    event: str | None
    filled_quantity: Decimal
    execution: Execution | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    reason: str | None = None
    answer: PlacementAnswer | None = None
    withheld: tuple[str, ...] = ()
    disturbed: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["order", "event"]:
        return "order" if self.event is None else "event"


class Journal:
    """All entries, in memory; with a path each is also appended to that file as a line of JSON.

    An entry whose delivery turns out otherwise is written to the file again: the last line of a number counts.
    """

    def __init__(self, path: Path | None) -> None:
        self._entries: list[Entry] = []
        # Unbuffered: the file is read after a crash, and a line costs one system call.
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __len__(self) -> int:
        return len(self._entries)

    def record_order(self, order: Order, *, answer: PlacementAnswer) -> Entry:
        """Adds the acceptance of an order."""
        hidden = ("hidden",) if order.visible_at > order.submitted_at else ()
        withheld = hidden if answer is PlacementAnswer.GIVEN else (*hidden, "answer")
        entry = Entry(
            number=len(self._entries) + 1,
            at=order.submitted_at,
            order=order,
            event=None,
            filled_quantity=order.filled_quantity,
            answer=answer,
            withheld=withheld,
        )
        self._entries.append(entry)
        self.write(entry)
        return entry

    def record_event(
        self,
        event: str,
        order: Order,
        *,
        at: datetime,
        execution: Execution | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        reason: str | None = None,
    ) -> Entry:
        """Adds an event. The caller writes it to the file once it knows how it was delivered."""
        entry = Entry(
            number=len(self._entries) + 1,
            at=at,
            order=order,
            event=event,
            filled_quantity=order.filled_quantity,
            execution=execution,
            quantity=quantity,
            price=price,
            reason=reason,
        )
        self._entries.append(entry)
        return entry

    def restore(self, entry: Entry) -> None:
        """Adds an entry that the file holds already."""
        self._entries.append(entry)

    def entry(self, number: int) -> Entry:
        return self._entries[number - 1]

    def read(self, *, after: int, limit: int) -> list[Entry]:
        """The entries with a number above `after`, at most `limit` of them."""
        return self._entries[after : after + limit]

    def write(self, entry: Entry) -> None:
        if self._file is not None:
            os.write(self._file, orjson.dumps(entry_json(entry), option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def entry_json(entry: Entry) -> dict[str, object]:
    """The entry as the controls and the file show it."""
    order = entry.order
    shown: dict[str, object] = {
        "number": entry.number,
        "kind": entry.kind,
        "at": time_text(entry.at),
        "order_id": order.id,
        "client_order_id": order.terms.client_order_id,
        "withheld": entry.withheld,
    }
    return shown | (_order_part(entry) if entry.event is None else _event_part(entry))


def _order_part(entry: Entry) -> dict[str, object]:
    order, terms = entry.order, entry.order.terms
    return {
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


def _event_part(entry: Entry) -> dict[str, object]:
    return {
        "event": entry.event,
        "execution_id": None if entry.execution is None else entry.execution.id,
        "qty": decimal_text(entry.quantity),
        "price": decimal_text(entry.price),
        "filled_qty": decimal_text(entry.filled_quantity),
        "reason": entry.reason,
        "disturbed": entry.disturbed,
    }
