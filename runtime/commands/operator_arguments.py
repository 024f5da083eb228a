"""The arguments of `python -m runtime trading`, `limits`, `orders`, `tokens` and `audit`.

Standard library only: every process imports it.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

Actions = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for the class

DECIMAL_LIMITS = {
    "max-quantity": "the largest quantity of one order",
    "max-notional": "the largest quantity times price of one order, in the instrument's currency",
    "price-collar-percent": "how far a limit price may be from the last known price, in percent",
}
STATEMENTS = ("CANCELED", "EXPIRED", "REJECTED", "FAILED", "FILLED")
COUNT_LIMITS = {
    "max-open-orders": "how many orders that are not final an account may have",
    "max-orders-per-second": "how many orders may be accepted within any one second",
}


def add_operators_commands(commands: "Actions[argparse.ArgumentParser]") -> None:
    """Add `trading`, `limits`, `orders`, `tokens` and `audit` to the parser of `python -m runtime`."""
    _add_trading(commands.add_parser("trading", help="halt and resume trading, for one account or for all"))
    _add_audit(commands.add_parser("audit", help="verify and export the audit trail"))
    _add_limits(commands.add_parser("limits", help="show and set the pre-trade limits of accounts"))
    _add_orders(commands.add_parser("orders", help="look into an order, and resolve what machines cannot"))
    _add_tokens(commands.add_parser("tokens", help="revoke tokens before they expire"))


def _add_trading(trading: argparse.ArgumentParser) -> None:
    actions = trading.add_subparsers(dest="action", required=True, metavar="ACTION")
    halt = _action(actions, "halt", "stop new orders immediately, in every process; orders can still be canceled")
    resume = _action(actions, "resume", "end a halt: orders are accepted again, and what waited is sent")
    for parser in (halt, resume):
        _add_account_or_everybody(parser, "all accounts")
        _add_operator(parser)
    status = _action(actions, "status", "show who is halted, since when, by whom and why")
    _add_account(status, "all halts")
    status.add_argument("--all", action="store_true", help="also the halts that are over, the newest first")


def _add_limits(limits: argparse.ArgumentParser) -> None:
    actions = limits.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_account(_action(actions, "show", "show the limits that hold for an account"), "the defaults")
    setting = _action(actions, "set", "replace all limits of an account: one that is not given is none")
    clearing = _action(actions, "clear", "remove an account's own limits, so that the defaults hold")
    for parser in (setting, clearing):
        _add_account_or_everybody(parser, "the defaults, which hold for every account without limits of its own")
        _add_operator(parser)
    for name, meaning in DECIMAL_LIMITS.items():
        setting.add_argument(f"--{name}", metavar="DECIMAL", help=meaning)
    for name, meaning in COUNT_LIMITS.items():
        setting.add_argument(f"--{name}", metavar="COUNT", type=int, help=meaning)
    price = _action(actions, "price", "set an instrument's last known price, until an execution brings a newer one")
    price.add_argument("isin")
    price.add_argument("price")
    _add_operator(price)
    _action(actions, "recount", "count every account's open orders again; safe while orders are placed")


def _add_audit(audit: argparse.ArgumentParser) -> None:
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = _action(
        actions,
        "verify",
        "find altered, deleted and truncated rows of the audit trail; exit code 1 when there are any, 3 when the "
        "database or a file cannot be read",
    )
    verify.add_argument(
        "--heads", type=Path, action="append", metavar="FILE", help="heads that were exported before; may be repeated"
    )
    verify.add_argument("--file", type=Path, help="verify this export, without a database; - is stdin")
    verify.add_argument("--json", action="store_true", help="print findings and the summary as JSON lines")
    export = _action(actions, "export", "write the audit trail as JSON lines, for verification on another machine")
    export.add_argument("--heads", action="store_true", help="only the heads of the chains, to be stored elsewhere")
    export.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to write, readable only by its owner; without it: stdout",
    )
    export.add_argument("--json", action="store_true", help="JSON lines, as without it")
    for parser in (verify, export):
        _add_account(parser, "every account, and what operators did")
        parser.add_argument(
            "--since", type=_moment, metavar="TIME", help="only what was stored since this time (ISO 8601; UTC)"
        )


def _add_tokens(tokens: argparse.ArgumentParser) -> None:
    actions = tokens.add_subparsers(dest="action", required=True, metavar="ACTION")
    revoke = _action(actions, "revoke", "refuse tokens in every process, and close their websockets, within 2 seconds")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--token-id", type=_text, metavar="JTI", help="one token, by its `jti`")
    which.add_argument("--account", type=_text, help="the tokens of an account; those without `iat` are all meant")
    revoke.add_argument(
        "--issued-before",
        type=_moment,
        metavar="TIME",
        help="with --account: only tokens issued before this moment, such as 2026-11-20T12:00:00Z (now)",
    )
    _add_operator(revoke)


def _add_orders(orders: argparse.ArgumentParser) -> None:
    actions = orders.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = _action(actions, "show", "show an order with everything that is stored about it, and the venue's answer now")
    reread = _action(actions, "reread", "look up the order at the venue now, and record the result")
    adopt = _action(actions, "adopt", "link the order to an order of the venue, after comparing both")
    book = _action(actions, "book", "book an execution that the venue does not list")
    bust = _action(actions, "bust", "take an execution back that did not happen")
    end = _action(
        actions, "end", "end the order according to the venue's statement; later reports of the venue outrank it"
    )
    for parser in (show, reread, adopt, book, bust, end):
        parser.add_argument("order", metavar="ORDER", help="its id: ord_… as the API shows it, or the UUID of the log")
        parser.add_argument("--json", action="store_true", help="print JSON")
    adopt.add_argument("venue_order_id", type=_text, metavar="VENUE_ORDER_ID", help="the venue's own id of the order")
    book.add_argument("--quantity", required=True, metavar="DECIMAL", help="how much was executed")
    book.add_argument("--price", required=True, metavar="DECIMAL", help="the price of one piece")
    book.add_argument("--executed-at", type=_moment, required=True, metavar="TIME", help="when, by the statement; UTC")
    book.add_argument("--venue-execution-id", type=_text, metavar="ID", help="the venue's id for it, if it is known")
    bust.add_argument("execution", metavar="EXECUTION", help="its id: exe_… as the API and `show` print it")
    end.add_argument("status", metavar="STATUS", choices=STATEMENTS, help=" or ".join(STATEMENTS))
    for parser in (reread, adopt, book, bust, end):
        _add_operator(parser)
        parser.add_argument(
            "--request-id", type=_text, metavar="ID", help="the same one again: the same request, done only once"
        )


def _action(actions: "Actions[argparse.ArgumentParser]", name: str, summary: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=summary, description=summary)


def _add_account(parser: argparse.ArgumentParser, otherwise: str) -> None:
    parser.add_argument("--account", type=_account, help=f"the account; without it: {otherwise}")


def _add_account_or_everybody(parser: argparse.ArgumentParser, everybody: str) -> None:
    """Require one of both: an account that is missing by mistake must not mean every account."""
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--account", type=_account, help="the account")
    whom.add_argument("--everybody", action="store_true", help=everybody)


def _add_operator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", type=_text, required=True, help="why, for the audit trail")
    parser.add_argument(
        "--by", type=_text, help="for whom, where that is not the user of the operating system; the trail keeps both"
    )


def _account(text: str) -> str:
    # An empty variable in a script must not mean every account. What else may be an id, the command itself checks.
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("must be printable characters on one line, and not empty")
    return text
