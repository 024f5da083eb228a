"""What `fillwire orders show` prints of texts that the venue chooses."""

import sys

import pytest

from db.database import Database
from db.dead_letters import PostgresDeadLetters
from domain.model.order import End
from domain.model.reports import OrderEnded
from domain.model.values import Reason, ReasonSource
from runtime.__main__ import main
from runtime.commands.order_report import as_json, as_lines, read_report
from tests.support.examples import now
from tests.support.postgres_stores import make_store
from tests.support.store_driver import Clerk

HOSTILE = "too late\nDone. The order is FILLED\x1b[2J\u202e"


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    return emptied_database_url


async def test_the_venues_texts_begin_no_line_and_command_no_terminal(database: Database) -> None:
    clerk = Clerk(make_store(database))
    (order_id,) = await clerk.store(1)
    reason = Reason(source=ReasonSource.VENUE, code="VENUE_CANCELED", message=HOSTILE)
    ended = OrderEnded(end=End.CANCELED, reason=reason, venue_order_id="V1", at=now())
    await clerk.record({order_id: [ended]})
    name = (await clerk.orders.load([order_id]))[order_id].order.venue_client_order_id
    await PostgresDeadLetters(database).add(source="stream", error="bad", raw=f"{name} {HOSTILE}".encode())

    report = await read_report(database, order_id)
    assert report is not None
    lines = list(as_lines(report, None, no_answer=HOSTILE))

    assert all(line.isprintable() for line in lines)
    assert sum("Done. The order is FILLED" in line for line in lines) == 3
    assert len(as_json(report, None, no_answer=HOSTILE).encode()) > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["reread", "ord_1", "--reason", "a\nDone."],
        ["reread", "ord_1", "--reason", "\x1b[2J"],
        ["reread", "ord_1", "--reason", "not utf-8: \udcff"],
        ["adopt", "ord_1", "V\udcff", "--reason", "a statement"],
    ],
)
def test_an_argument_that_is_not_printable_is_refused_before_anything_is_stored(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fillwire", "orders", *arguments])

    with pytest.raises(SystemExit) as refused:
        main()

    assert refused.value.code == 2
    assert "must be printable" in capsys.readouterr().err
