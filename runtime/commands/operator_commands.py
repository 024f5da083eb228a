"""`python -m runtime trading …`, `limits …` and `tokens revoke`: the operators' commands, on the database itself.

They work without the API and without Redis. What they do is audited, logged, and an alert, as over GraphQL.
"""

import argparse
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from domain.model.errors import InvalidLimitsError, TransientError
from domain.model.limits import NO_LIMITS, AccountLimits
from domain.model.operator_actions import Actor
from domain.model.order_query import PAGE_MAX_ROWS, PageRequest
from domain.model.revocations import RevokeTokens
from domain.model.values import format_decimal, parse_decimal
from domain.ports.trading_control import HaltFilter, TradingHalt
from domain.services.token_revocation import TokenRevocation
from domain.services.trading_control import EVERYBODY, TradingControl
from runtime.commands.operating_system_user import actor_of_command
from runtime.commands.operator_arguments import COUNT_LIMITS, DECIMAL_LIMITS
from runtime.processes.lifecycle import Process, ProcessMain
from runtime.resources.database import DatabaseResources, open_database
from runtime.wiring import make_token_revocation, make_trading_control

REQUIRES = ("database_url",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorResources:
    """The database, and the operators' services over it."""

    database: DatabaseResources
    control: TradingControl
    revocation: TokenRevocation


def command(parsed: argparse.Namespace) -> ProcessMain:
    """Return the main function of the command that the arguments name."""
    act = ACTIONS[parsed.command, parsed.action]

    async def run(process: Process) -> None:
        async with open_database(process) as database:
            resources = OperatorResources(
                database=database,
                control=make_trading_control(process, database),
                revocation=make_token_revocation(process, database),
            )
            for line in await act(resources, parsed):
                print(line)  # noqa: T201 - a command's output

    return run


async def _halt(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    halt = await resources.control.halt(asked.account, actor=_actor(asked), reason=asked.reason)
    return [_halt_line(halt), *await _doubts(resources, asked.account)]


async def _resume(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    return [_halt_line(await resources.control.resume(asked.account, actor=_actor(asked), reason=asked.reason))]


async def _status(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    wanted = HaltFilter(is_open=None if asked.all else True, account_id=asked.account)
    page = await resources.database.halts.page(PageRequest(limit=PAGE_MAX_ROWS), filter=wanted)
    return [_halt_line(halt) for halt in page.rows] or ["Nothing is halted."]


async def _show(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    book = resources.database.limit_book
    if asked.account is None:
        defaults = await book.defaults()
        if defaults == NO_LIMITS:
            return ["There are no defaults. Limits of one account are shown with --account."]
        return _limit_lines(defaults)
    found = await book.limits_of(asked.account, fresh=True)
    return [*_limit_lines(found), f"open orders now        {await book.open_orders(asked.account)}"]


async def _set(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    given = {name: getattr(asked, _field(name)) for name in DECIMAL_LIMITS}
    decimals = {name: None if text is None else _decimal(name, text) for name, text in given.items()}
    limits = AccountLimits(
        account_id=asked.account,
        max_quantity=decimals["max-quantity"],
        max_notional=decimals["max-notional"],
        price_collar_percent=decimals["price-collar-percent"],
        max_open_orders=asked.max_open_orders,
        max_orders_per_second=asked.max_orders_per_second,
    )
    stored = await resources.control.set_limits(limits, actor=_actor(asked), reason=asked.reason)
    return [*_limit_lines(stored), *await _doubts(resources, asked.account)]


async def _clear(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    were_there = await resources.control.clear_limits(asked.account, actor=_actor(asked), reason=asked.reason)
    whose = asked.account or EVERYBODY
    return [f"The limits of {whose} are cleared." if were_there else f"There were no limits of {whose}."]


async def _price(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    price = _decimal("price", asked.price)
    if not await resources.control.set_price(asked.isin, price, actor=_actor(asked), reason=asked.reason):
        return [f"{asked.isin}  not stored: a newer price is known. Is this machine's clock wrong?"]
    return [f"{asked.isin}  {format_decimal(price)}"]


async def _recount(resources: OperatorResources, _asked: argparse.Namespace) -> Iterable[str]:
    return [f"{await resources.database.limit_book.recount_open_orders()} accounts had a wrong count."]


async def _revoke(resources: OperatorResources, asked: argparse.Namespace) -> Iterable[str]:
    tokens = RevokeTokens(
        token_id=asked.token_id, account_id=asked.account, issued_before=asked.issued_before, reason=asked.reason
    )
    in_force_at = await resources.revocation.revoke(tokens, actor=_actor(asked))
    return [f"Revoked. In force in every process by {in_force_at:%Y-%m-%d %H:%M:%SZ}."]


async def _doubts(resources: OperatorResources, account_id: str | None) -> Iterable[str]:
    """Return a warning when no order of the account was ever stored: the id may be mistyped."""
    with suppress(TransientError):
        if account_id is not None and not await resources.database.limit_book.is_known(account_id):
            return [f"No order of {account_id} has ever been accepted: is that the account's id?"]
    return []


def _halt_line(halt: TradingHalt) -> str:
    line = (
        f"{halt.account_id or EVERYBODY}: halted {halt.halted_at:%Y-%m-%d %H:%M:%SZ} by {halt.halted_by} "
        f"({halt.halt_reason})"
    )
    if halt.resumed_at is None:
        return line
    return f"{line}, resumed {halt.resumed_at:%Y-%m-%d %H:%M:%SZ} by {halt.resumed_by} ({halt.resume_reason})"


def _limit_lines(limits: AccountLimits) -> Iterable[str]:
    if limits == NO_LIMITS:
        return ["No limits hold for it, and there are no defaults."]
    whose = "the defaults" if limits.account_id is None else limits.account_id
    values: Mapping[str, object] = {name: getattr(limits, _field(name)) for name in (*DECIMAL_LIMITS, *COUNT_LIMITS)}
    lines = [f"{name:<22} {_value(value)}" for name, value in values.items()]
    return [f"{whose}, set {limits.set_at:%Y-%m-%d %H:%M:%SZ} by {limits.set_by}", *lines]


def _value(value: object) -> str:
    if value is None:
        return "-"
    return format_decimal(value) if isinstance(value, Decimal) else str(value)


def _actor(asked: argparse.Namespace) -> Actor:
    return actor_of_command(asked.by)


def _field(name: str) -> str:
    return name.replace("-", "_")


def _decimal(name: str, text: str) -> Decimal:
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise InvalidLimitsError({name: str(error)}) from None


ACTIONS: Mapping[tuple[str, str], Callable[[OperatorResources, argparse.Namespace], Awaitable[Iterable[str]]]] = {
    ("trading", "halt"): _halt,
    ("trading", "resume"): _resume,
    ("trading", "status"): _status,
    ("limits", "show"): _show,
    ("limits", "set"): _set,
    ("limits", "clear"): _clear,
    ("limits", "price"): _price,
    ("limits", "recount"): _recount,
    ("tokens", "revoke"): _revoke,
}
