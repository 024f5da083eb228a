"""Expected failures as members of the result unions. Each implements UserError and keeps its code permanently."""

from decimal import Decimal
from typing import Self

import strawberry

from domain.model import errors, limits
from domain.model.errors import IssueCode
from graph.schema.types.order import Order, order_from

ORDER_ID_PATH = ("input", "orderId")
CLIENT_ORDER_ID_PATH = ("input", "clientOrderId")


@strawberry.interface(
    name="UserError",
    description=("Every expected failure implements this: select it once and a failure added later is still readable."),
)
class UserFailure:
    code: str
    message: str
    path: list[str] | None


@strawberry.type(
    description=(
        'path leads from the mutation\'s arguments to the field, for example ["input", "limitPrice"]; code is stable: '
        f"{', '.join(IssueCode)}."
    )
)
class InputIssue:
    path: list[str]
    code: str
    message: str


@strawberry.type
class InvalidOrder(UserFailure):
    issues: list[InputIssue]

    @classmethod
    def of(cls, error: errors.InvalidOrderError) -> Self:
        """Return the failure; its path is that of the first issue."""
        issues = _issues(error)
        return cls(code="INVALID_ORDER", message=str(error), path=issues[0].path if issues else None, issues=issues)


@strawberry.type(description="Fields that break a rule; nothing was done.")
class InvalidInput(UserFailure):
    issues: list[InputIssue]

    @classmethod
    def of(cls, error: errors.InvalidInputError) -> Self:
        """Return the failure; its path is that of the first issue."""
        issues = _issues(error)
        return cls(code="INVALID_INPUT", message=str(error), path=issues[0].path if issues else None, issues=issues)


@strawberry.type
class ClientOrderIdConflict(UserFailure):
    existing_order: Order

    @classmethod
    def of(cls, error: errors.ClientOrderIdConflictError) -> Self:
        """Return the failure, with the order that has the id."""
        return cls(
            code="CLIENT_ORDER_ID_CONFLICT",
            message=str(error),
            path=list(CLIENT_ORDER_ID_PATH),
            existing_order=order_from(error.existing),
        )


@strawberry.type(description="clientRequestId was used before, for this order, with other content; nothing was done.")
class ClientRequestIdConflict(UserFailure):
    @classmethod
    def of(cls, error: errors.ClientRequestIdConflictError) -> Self:
        """Return the failure, with the path of the id."""
        return cls(code="CLIENT_REQUEST_ID_CONFLICT", message=str(error), path=["input", "clientRequestId"])


@strawberry.type(
    description=(
        "A pre-trade limit and how far it goes. The unit is the limit's: shares, the instrument's currency, percent of "
        "the last known price, orders."
    )
)
class LimitUse:
    name: str
    maximum: Decimal
    used: Decimal | None
    requested: Decimal | None

    @classmethod
    def of(cls, use: limits.LimitUse, *, name: str) -> Self:
        """Return the use of the limit with that code."""
        return cls(name=name, maximum=use.maximum, used=use.used, requested=use.requested)


@strawberry.type(
    description=(
        "We refuse it before it is stored: a limit of the account, a halt, an instrument that is not tradable."
    )
)
class OrderDenied(UserFailure):
    limit: LimitUse | None = strawberry.field(
        description="The limit that it breaks; null when no limit did it (INSTRUMENT_NOT_TRADABLE, TRADING_HALTED)."
    )

    @classmethod
    def of(cls, error: errors.OrderDeniedError) -> Self:
        """Return the failure, under the code of the limit."""
        path = None if error.path is None else list(error.path)
        limit = None if error.use is None else LimitUse.of(error.use, name=error.code)
        return cls(code=error.code, message=str(error), path=path, limit=limit)


@strawberry.type(description="Nothing was stored; try again with the same clientOrderId.")
class Unavailable(UserFailure):
    retry_after_ms: int | None

    @classmethod
    def of(cls, error: errors.UnavailableError) -> Self:
        """Return the failure, with the time to wait."""
        return cls(code="UNAVAILABLE", message=error.message, path=None, retry_after_ms=error.retry_after_ms)


@strawberry.type
class OrderNotFound(UserFailure):
    @classmethod
    def of(cls, error: errors.OrderNotFoundError) -> Self:
        """Return the failure; it is the same for an order of another account."""
        return cls(code="ORDER_NOT_FOUND", message=str(error), path=list(ORDER_ID_PATH))


@strawberry.type
class NotCancelable(UserFailure):
    order: Order

    @classmethod
    def of(cls, error: errors.NotCancelableError) -> Self:
        """Return the failure, with the ended order."""
        return cls(code="NOT_CANCELABLE", message=str(error), path=list(ORDER_ID_PATH), order=order_from(error.order))


def _issues(error: errors.InvalidInputError) -> list[InputIssue]:
    return [InputIssue(path=list(issue.path), code=issue.code, message=issue.message) for issue in error.issues]
