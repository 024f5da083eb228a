"""What the operators' mutations answer: success or one of their expected failures."""

from collections.abc import Mapping
from typing import Annotated, Self

import strawberry
from strawberry.utils.str_converters import to_camel_case

from domain.model import errors
from domain.model.errors import IssueCode
from graph.schema.types.trading import AccountLimits, TradingHalt
from graph.schema.types.user_errors import InputIssue, Unavailable, UserFailure


@strawberry.type
class HaltTradingSuccess:
    halt: TradingHalt = strawberry.field(
        description="The halt that holds now, an earlier one if there was one. Nothing new passes any more."
    )


@strawberry.type
class ResumeTradingSuccess:
    halt: TradingHalt = strawberry.field(description="The halt that ended.")


@strawberry.type
class SetAccountLimitsSuccess:
    limits: AccountLimits = strawberry.field(description="As they hold for every order from now on, in every process.")


@strawberry.type
class ClearAccountLimitsSuccess:
    limits: AccountLimits = strawberry.field(description="What holds now: the defaults, or nothing.")


@strawberry.type(description="There is no open halt of that account, or of all.")
class NotHalted(UserFailure):
    @classmethod
    def of(cls, error: errors.NotHaltedError) -> Self:
        """Return the failure."""
        return cls(code="NOT_HALTED", message=str(error), path=["input", "accountId"])


@strawberry.type(description="Values that cannot be limits; none was set.")
class InvalidLimits(UserFailure):
    issues: list[InputIssue]

    @classmethod
    def of(cls, wrong: Mapping[str, str], *, code: IssueCode) -> Self:
        """Return the failure, from a message for each field; its path is that of the first issue."""
        issues = [
            InputIssue(path=["input", to_camel_case(name)], code=code, message=sentence)
            for name, sentence in wrong.items()
        ]
        message = "; ".join(f"{'.'.join(issue.path)}: {issue.message}" for issue in issues)
        return cls(code="INVALID_LIMITS", message=message, path=issues[0].path, issues=issues)


HaltTradingResult = Annotated[HaltTradingSuccess | Unavailable, strawberry.union("HaltTradingResult")]
ResumeTradingResult = Annotated[ResumeTradingSuccess | NotHalted | Unavailable, strawberry.union("ResumeTradingResult")]
SetAccountLimitsResult = Annotated[
    SetAccountLimitsSuccess | InvalidLimits | Unavailable, strawberry.union("SetAccountLimitsResult")
]
ClearAccountLimitsResult = Annotated[
    ClearAccountLimitsSuccess | Unavailable, strawberry.union("ClearAccountLimitsResult")
]
