"""`fillwire orders …`: show an order, and resolve one that cannot be resolved automatically.

The command stores a request; a worker looks up the order at the venue and applies it. So it needs only the database and
a running worker, not the API, Redis or the venue's key.
"""

import argparse
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from decimal import Decimal
from typing import TextIO
from uuid import UUID

import orjson

from domain.model.errors import (
    ClientInputError,
    InputIssue,
    InvalidInputError,
    IssueCode,
    OrderNotFoundError,
    UnavailableError,
)
from domain.model.executions import Trade
from domain.model.order import OrderStatus
from domain.model.resolutions import Adopt, Book, Bust, EndAs, NewResolution, Reread, ResolveAction
from domain.model.values import parse_decimal
from domain.services.resolution import ResolutionDesk
from domain.services.venue_answers import ShownAnswer, read_answer
from runtime.commands.operating_system_user import actor_of_command
from runtime.commands.order_report import as_json, as_lines, read_report
from runtime.observability.printable import printable
from runtime.processes.lifecycle import EXIT_FAILED, Process, ProcessMain, new_id, run_process
from runtime.resources.database import DatabaseResources, open_database
from runtime.wiring import make_resolution_desk

REQUIRES = ("database_url",)


def run(parsed: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    output, refusals = sys.stdout, list[str]()
    # The output is for people and other programs: the log is written to stderr.
    with redirect_stdout(sys.stderr):
        code = run_process("orders", _command(parsed, output, refusals), requires=REQUIRES)
    for sentence in refusals:
        print(printable(sentence), file=sys.stderr)  # noqa: T201 - a command's output
    return EXIT_FAILED if refusals else code


def _command(parsed: argparse.Namespace, output: TextIO, refusals: list[str]) -> ProcessMain:
    async def main(process: Process) -> None:
        try:
            await answer(process)
        except InvalidInputError as error:
            refusals.extend(f"Refused: {issue.message}" for issue in error.issues)
        except (ClientInputError, UnavailableError) as error:
            refusals.append(str(error))

    async def answer(process: Process) -> None:
        async with open_database(process) as database:
            desk = make_resolution_desk(process, database)
            order_id = _read_id("orderId", parsed.order, prefix="ord_")
            lines = (
                await _show(database, desk, order_id, parsed)
                if parsed.action == "show"
                else await _resolve(database, desk, order_id, parsed)
            )
            output.writelines(f"{line}\n" for line in lines)
            output.flush()

    return main


async def _show(
    database: DatabaseResources, desk: ResolutionDesk, order_id: UUID, asked: argparse.Namespace
) -> Iterable[str]:
    answer, no_answer = await _ask(desk, order_id)
    report = await read_report(database.database, order_id)
    if report is None:
        raise OrderNotFoundError
    if asked.json:
        return [as_json(report, answer, no_answer=no_answer)]
    return as_lines(report, answer, no_answer=no_answer)


async def _ask(desk: ResolutionDesk, order_id: UUID) -> tuple[ShownAnswer | None, str | None]:
    """Return the venue's answer, or the reason why there is none: the stored order is shown in any case."""
    try:
        asked = await desk.ask_venue(order_id, actor=actor_of_command())
    except UnavailableError:
        return None, "no worker has asked the venue: is one running?"
    except InvalidInputError as error:
        return None, str(error)
    return (None, "it was not asked") if asked.answer is None else (read_answer(asked.answer), None)


async def _resolve(
    database: DatabaseResources, desk: ResolutionDesk, order_id: UUID, asked: argparse.Namespace
) -> Iterable[str]:
    request_id = asked.request_id or new_id().hex
    request = NewResolution(
        id=new_id(),
        order_id=order_id,
        client_request_id=request_id,
        action=_action(asked),
        reason=asked.reason,
        actor=actor_of_command(asked.by),
    )
    try:
        done = await desk.resolve(request)
    except UnavailableError as error:
        raise UnavailableError(f"{error} Here: --request-id {request_id}. Is a worker running?") from error
    order = await database.reader.order(order_id, account_ids=None)
    if order is None:
        raise OrderNotFoundError
    shown = {
        "order": f"ord_{order_id.hex}",
        "status": order.status.value,
        "version": order.version,
        "filledQuantity": f"{order.filled_quantity:f}",
        "quantity": f"{order.terms.quantity:f}",
        "requestId": request_id,
        "action": f"act_{done.id.hex}",
    }
    if asked.json:
        return [orjson.dumps(shown).decode()]
    filled = f"{shown['filledQuantity']} of {shown['quantity']} filled"
    return [
        f"Done. {shown['order']} is {shown['status']}, {filled}, version {shown['version']}.",
        f"In the audit trail as {shown['action']}.",
    ]


def _action(asked: argparse.Namespace) -> ResolveAction:
    match asked.action:
        case "reread":
            return Reread()
        case "adopt":
            return Adopt(venue_order_id=asked.venue_order_id)
        case "book":
            return Book(
                venue_execution_id=asked.venue_execution_id,
                trade=Trade(quantity=_decimal("quantity", asked.quantity), price=_decimal("price", asked.price)),
                executed_at=asked.executed_at,
            )
        case "bust":
            return Bust(execution_id=_read_id("execution", asked.execution, prefix="exe_"))
    return EndAs(status=OrderStatus(asked.status))


def _read_id(name: str, text: str, *, prefix: str) -> UUID:
    try:
        return UUID(text.removeprefix(prefix))
    except ValueError:
        raise _wrong(name, f"{text!r} is no id: expected {prefix}… or a UUID") from None


def _decimal(name: str, text: str) -> Decimal:
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise _wrong(name, str(error)) from None


def _wrong(name: str, message: str) -> InvalidInputError:
    return InvalidInputError([InputIssue(path=(name,), code=IssueCode.BAD_FORMAT, message=message)])
