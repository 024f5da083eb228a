"""The operators' fields: halt and resume trading, set limits, and read both. Each needs its
narrow scope: operator:halt, operator:limits or operator:read."""

import strawberry

from domain.model import errors, limits
from domain.model.errors import IssueCode
from domain.model.operator_actions import Actor
from domain.ports.trading_control import HaltFilter
from graph.auth.bearer import Scope
from graph.context import Context, Info
from graph.errors import bad_input
from graph.schema.cursors import read_account_cursor, read_halt_cursor, write_account_cursor, write_halt_cursor
from graph.schema.fields import described
from graph.schema.page_arguments import DEFAULT_FIRST, page_arguments, read_page
from graph.schema.types.account import Account, account_from
from graph.schema.types.connection import Connection, connect
from graph.schema.types.inputs import checked_reason, checked_text, given, given_account
from graph.schema.types.trading import (
    AccountLimits,
    ClearAccountLimitsInput,
    HaltTradingInput,
    ResumeTradingInput,
    SetAccountLimitsInput,
    TradingHalt,
    halt_from,
)
from graph.schema.types.trading_results import (
    ClearAccountLimitsResult,
    ClearAccountLimitsSuccess,
    HaltTradingResult,
    HaltTradingSuccess,
    InvalidLimits,
    NotHalted,
    ResumeTradingResult,
    ResumeTradingSuccess,
    SetAccountLimitsResult,
    SetAccountLimitsSuccess,
)
from graph.schema.types.user_errors import Unavailable

NOT_A_DECIMAL = 'Expected a decimal as a string, such as "12.50", at most 18 digits on each side of the point.'


@strawberry.type
class TradingMutation:
    @described(
        (
            "Stops what is new, for one account or for all, at once and in every process: orders are OrderDenied with "
            "TRADING_HALTED, and what is stored but was never sent waits. Orders can be canceled. Operators only."
        ),
        kind=strawberry.mutation,
    )
    async def halt_trading(
        self,
        info: Info,
        input: HaltTradingInput,  # noqa: A002 - the contract's name
    ) -> HaltTradingResult:
        actor, reason = _operator(info, Scope.OPERATOR_HALT), checked_reason(input.reason, is_required=True)
        account_id = _account_or_all(input.account_id, everybody=input.everybody)
        try:
            halt = await info.context.services.control.halt(account_id, actor=actor, reason=reason)
        except errors.TransientError:
            message = "Whether trading is halted cannot be told at the moment. Try again until it is."
            return Unavailable.of(errors.UnavailableError(message))
        return HaltTradingSuccess(halt=halt_from(halt))

    @described(
        (
            "Ends a halt: orders are accepted again, and what waited is sent, unless it has become too old. Operators "
            "only."
        ),
        kind=strawberry.mutation,
    )
    async def resume_trading(
        self,
        info: Info,
        input: ResumeTradingInput,  # noqa: A002 - the contract's name
    ) -> ResumeTradingResult:
        actor, reason = _operator(info, Scope.OPERATOR_HALT), checked_reason(input.reason, is_required=True)
        account_id = _account_or_all(input.account_id, everybody=input.everybody)
        try:
            halt = await info.context.services.control.resume(account_id, actor=actor, reason=reason)
        except errors.NotHaltedError as error:
            return NotHalted.of(error)
        except errors.TransientError:
            return Unavailable.of(errors.UnavailableError("Trading cannot be resumed at the moment. Try again."))
        return ResumeTradingSuccess(halt=halt_from(halt))

    @described(
        "Replaces all pre-trade limits of an account, or the defaults. Operators only.", kind=strawberry.mutation
    )
    async def set_account_limits(
        self,
        info: Info,
        input: SetAccountLimitsInput,  # noqa: A002 - the contract's name
    ) -> SetAccountLimitsResult:
        actor, reason = _operator(info, Scope.OPERATOR_LIMITS), checked_reason(input.reason, is_required=False)
        decimals = input.decimals()
        malformed = {name: NOT_A_DECIMAL for name, one in decimals.items() if one is not None and one.value is None}
        values = {name: None if one is None else one.value for name, one in decimals.items()}
        if malformed:
            return InvalidLimits.of(malformed, code=IssueCode.BAD_FORMAT)
        asked = limits.AccountLimits(
            account_id=_account_or_all(input.account_id, everybody=input.everybody),
            max_open_orders=given(input.max_open_orders),
            max_orders_per_second=given(input.max_orders_per_second),
            max_quantity=values["max_quantity"],
            max_notional=values["max_notional"],
            price_collar_percent=values["price_collar_percent"],
        )
        try:
            stored = await info.context.services.control.set_limits(asked, actor=actor, reason=reason)
        except errors.InvalidLimitsError as error:
            code = IssueCode.REQUIRED if asked.limit_nothing else IssueCode.OUT_OF_RANGE
            return InvalidLimits.of(error.wrong, code=code)
        except errors.TransientError:
            return Unavailable.of(errors.UnavailableError("Limits cannot be set at the moment. Try again."))
        return SetAccountLimitsSuccess(limits=AccountLimits.of(stored, for_operator=True))

    @described(
        "Removes an account's own limits, so that the defaults hold, or the defaults. Operators only.",
        kind=strawberry.mutation,
    )
    async def clear_account_limits(
        self,
        info: Info,
        input: ClearAccountLimitsInput,  # noqa: A002 - the contract's name
    ) -> ClearAccountLimitsResult:
        actor, reason = _operator(info, Scope.OPERATOR_LIMITS), checked_reason(input.reason, is_required=False)
        account_id = _account_or_all(input.account_id, everybody=input.everybody)
        try:
            await info.context.services.control.clear_limits(account_id, actor=actor, reason=reason)
            found = await _limits(info.context, account_id)
        except errors.TransientError:
            return Unavailable.of(errors.UnavailableError("Limits cannot be removed at the moment. Try again."))
        return ClearAccountLimitsSuccess(limits=found)


@strawberry.type
class TradingQuery:
    @described(
        "The accounts that have ever placed an order, by their ids; `search` is the start of an id, letter by letter. "
        "Operators only."
    )
    async def accounts(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        search: str | None = strawberry.UNSET,
    ) -> Connection[Account]:
        _operator(info, Scope.OPERATOR_READ)
        context = info.context
        text = checked_text("search", search) if search else None
        arguments = page_arguments(first=first, after=after, last=last, before=before, read_cursor=read_account_cursor)
        page = await read_page(
            arguments,
            lambda request: context.services.accounts.page(request, search=text),
            settings=context.services.settings,
        )
        return connect(page, node=account_from, cursor=write_account_cursor)

    @described(
        "The limits that hold for the account; without one, the defaults of all that have none of their own. "
        "Operators only."
    )
    async def account_limits(self, info: Info, account_id: strawberry.ID | None = strawberry.UNSET) -> AccountLimits:
        _operator(info, Scope.OPERATOR_READ)
        return await _limits(info.context, given_account(account_id))

    @described(
        "Every halt there ever was, the newest first; of one account with those of all accounts. Operators only."
    )
    async def trading_halts(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        is_open: bool | None = strawberry.UNSET,
        account_id: strawberry.ID | None = strawberry.UNSET,
    ) -> Connection[TradingHalt]:
        _operator(info, Scope.OPERATOR_READ)
        context = info.context
        wanted = HaltFilter(is_open=given(is_open), account_id=given_account(account_id))
        page = await read_page(
            page_arguments(first=first, after=after, last=last, before=before, read_cursor=read_halt_cursor),
            lambda request: context.services.control.halts.page(request, filter=wanted),
            settings=context.services.settings,
        )
        return connect(page, node=halt_from, cursor=lambda halt: write_halt_cursor(halt.id))


async def _limits(context: Context, account_id: str | None) -> AccountLimits:
    book = context.services.control.book
    found = await (book.defaults() if account_id is None else book.limits_of(account_id, fresh=True))
    return AccountLimits.of(found, for_operator=True)


def _operator(info: Info, scope: Scope) -> Actor:
    """Return the operator; raise FORBIDDEN when the token lacks the scope."""
    info.context.bearer.require(scope)
    return info.context.actor


def _account_or_all(asked: strawberry.ID | None, *, everybody: bool) -> str | None:
    """Return the named account, None for all of them; raise BAD_USER_INPUT unless exactly one of both is given.

    A lost account id must not halt, resume or limit all accounts.
    """
    account_id = given_account(asked)
    if (account_id is None) is not everybody:
        raise bad_input("Give accountId, or everybody: true for all accounts; one of both.")
    return account_id
