"""`./dev watch`: one line for each change of an account's orders, across restarts of the API."""

import asyncio
import os
import random
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportClosed, TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from runtime.observability.printable import printable
from tools.devstack.errors import LocalStackError
from tools.devstack.terminal import has_colors
from tools.devstack.tokens import DEMO_ACCOUNT, TOKEN_NAME, URL_NAME, checked_accounts, mint, signing_secret

START = "Start it: ./dev up"
TOKEN_SECONDS = 12 * 3600
PAUSE_SECONDS = 0.1
PAUSE_MAX_SECONDS = 2.0
PING_SECONDS = 5
NO_ANSWER = (TransportConnectionFailed, TransportClosed, OSError, TimeoutError)
TRY_AGAIN = frozenset({"INTERNAL", "TIMED_OUT", "UNAVAILABLE"})
TOKEN_REFUSED_CODE = 4401
COLORS = {
    "PENDING": "90",
    "PLACED": "34",
    "IN_DOUBT": "35",
    "PARTIALLY_FILLED": "36",
    "FILLED": "32",
    "CANCELED": "33",
    "EXPIRED": "33",
    "REJECTED": "31",
    "FAILED": "31",
}
WIDTHS = (24, 20, 8, 4, 10, 16, 21)

FOLLOW = """
subscription Follow($after: String) {
  orderUpdates(after: $after) {
    kind
    cursor
    order { id clientOrderId side quantity limitPrice instrument { symbol } }
    change { at status filledQuantity execution { price } }
  }
}
"""

Json = Mapping[str, Any]


async def watch(folder: Path, *, account: str | None) -> None:
    """Print the changes from now on, until cancelled or until the reader of standard output has closed it.

    Raises LocalStackError when no stack runs at first, and for an answer that repeating cannot change.
    """
    lines = _lines(folder, account)
    printing = asyncio.ensure_future(_print(lines))
    if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        # The write end becomes readable, with an error, once its reader has closed it.
        asyncio.get_running_loop().add_reader(sys.stdout.fileno(), printing.cancel)
    with suppress(BrokenPipeError, asyncio.CancelledError):
        await printing
    _discard_output()


async def _print(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        print(line, flush=True)


async def _lines(folder: Path, account: str | None) -> AsyncIterator[str]:
    """Yield a line for each change; after a lost connection continue after the last cursor."""
    after, pause = None, PAUSE_SECONDS
    paint = _painter()
    while True:
        url = _url(folder)
        bearer = {"Authorization": f"Bearer {_token(folder, account)}"}
        transport = WebsocketsTransport(
            url.replace("http", "ws", 1), init_payload=bearer, ping_interval=PING_SECONDS, pong_timeout=PING_SECONDS
        )
        try:
            async with Client(transport=transport) as session:
                async for data in session.subscribe(GraphQLRequest(FOLLOW, variable_values={"after": after})):
                    update = data["orderUpdates"]
                    if after is None:
                        _print_status(f"following {account or DEMO_ACCOUNT} at {url}; Ctrl-C ends this")
                    after, pause = update["cursor"], PAUSE_SECONDS
                    if update["kind"] == "CHANGE":
                        yield _line(update["order"], update["change"], paint)
                    elif update["kind"] == "RESET":
                        _print_status("some changes are no longer stored and were left out")
        except NO_ANSWER as error:
            _refuse_token(error)
            if after is None:
                raise LocalStackError(f"nothing answers at {url}. {START}") from error
            if pause == PAUSE_SECONDS:
                _print_status("the connection is lost; waiting for the API")
        except TransportQueryError as error:
            _refuse_unless_repeatable(error)
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # A pause, not a secret.
        pause = min(2 * pause, PAUSE_MAX_SECONDS)


def _line(order: Json, change: Json, paint: Callable[[str, str], str]) -> str:
    execution = change["execution"]
    columns = (
        change["at"][:23].ljust(23, "0").removesuffix("Z") + "Z",
        order["clientOrderId"] or order["id"],
        order["instrument"]["symbol"],
        order["side"],
        order["quantity"],
        change["status"],
        f"{change['filledQuantity']}/{order['quantity']}",
    )
    price = (execution["price"] if execution else order["limitPrice"]) or "-"
    padded = [printable(text).ljust(width) for text, width in zip(columns, WIDTHS, strict=True)]
    return paint(" ".join([*padded, price]), change["status"])


def _painter() -> Callable[[str, str], str]:
    colors = COLORS if has_colors(sys.stdout) else {}

    def paint(text: str, status: str) -> str:
        return f"\033[{colors[status]}m{text}\033[0m" if status in colors else text

    return paint


def _url(folder: Path) -> str:
    try:
        return (folder / URL_NAME).read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise LocalStackError(f"nothing has run here: there is no {folder / URL_NAME}. {START}") from error


def _token(folder: Path, account: str | None) -> str:
    """Return a token of the account, or the one of `./dev up`; read for each connection, since tokens expire."""
    if account is not None:
        accounts = checked_accounts([account])
        secret = signing_secret(folder)
        return mint(secret=secret, accounts=accounts, scopes=["orders:read"], ttl_seconds=TOKEN_SECONDS)
    try:
        return (folder / TOKEN_NAME).read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise LocalStackError(f"there is no token in {folder / TOKEN_NAME}: it is from your issuer") from error


def _refuse_token(error: BaseException) -> None:
    """Raise LocalStackError when the server has closed the connection because of the token."""
    received = getattr(error.__cause__, "rcvd", None)
    if received is not None and received.code == TOKEN_REFUSED_CODE:
        raise LocalStackError("the API does not accept the token: restart ./dev up to have a new one") from error


def _refuse_unless_repeatable(error: TransportQueryError) -> None:
    """Raise LocalStackError with the server's sentence, unless the same request may succeed later."""
    errors: Sequence[Json] = error.errors or []
    for refusal in errors:
        if refusal.get("extensions", {}).get("code") not in TRY_AGAIN:
            raise LocalStackError(printable(refusal["message"])) from error


def _discard_output() -> None:
    """Discard the buffered output: writing it at exit would fail."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # Used until the process ends.


def _print_status(sentence: str) -> None:
    """Write a status line to stderr, so that piped lines are changes only."""
    with suppress(BrokenPipeError):
        print(f"dev: {sentence}", file=sys.stderr, flush=True)
