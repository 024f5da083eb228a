"""Placing and canceling: pass the command to the domain, return its errors as members of the result unions."""

from datetime import timedelta

import strawberry

from domain.model import errors
from domain.model.order_query import OrderSort
from domain.ports.order_store import OrderStored
from graph.auth.bearer import Scope
from graph.context import Context, Info
from graph.schema.cursors import write_order_cursor
from graph.schema.fields import described
from graph.schema.first_attempt import wait_for_first_attempt
from graph.schema.global_ids import read_order_id
from graph.schema.placement_input import read_command
from graph.schema.types.inputs import CancelOrderInput, PlaceOrderInput, checked_reason
from graph.schema.types.order import order_from
from graph.schema.types.order_results import CancelOrderResult, CancelOrderSuccess, PlaceOrderResult, PlaceOrderSuccess
from graph.schema.types.user_errors import (
    ClientOrderIdConflict,
    InvalidOrder,
    NotCancelable,
    OrderDenied,
    OrderNotFound,
    Unavailable,
)


@strawberry.type
class Mutation:
    @described(
        (
            "Returns as soon as the order is stored for good, whatever the venue does. With waitMs (0 to 10000) it "
            "waits at most that long for the first attempt's outcome: PLACED if the venue took it, else PENDING or "
            "IN_DOUBT while placing goes on behind."
        ),
        kind=strawberry.mutation,
    )
    async def place_order(
        self,
        info: Info,
        input: PlaceOrderInput,  # noqa: A002 - the contract's name
        wait_ms: int | None = 0,
    ) -> PlaceOrderResult:
        context = info.context
        context.bearer.require(Scope.PLACE)
        try:
            command = await read_command(input, wait_ms=wait_ms or 0, context=context)
            stored = await context.services.placement.place(command)
        except errors.InvalidOrderError as error:
            return InvalidOrder.of(error)
        except errors.ClientOrderIdConflictError as error:
            return ClientOrderIdConflict.of(error)
        except errors.OrderDeniedError as error:
            return OrderDenied.of(error)
        except errors.UnavailableError as error:
            return Unavailable.of(error)
        return await _success(stored, wait=timedelta(milliseconds=wait_ms or 0), context=context)

    @strawberry.mutation
    async def cancel_order(
        self,
        info: Info,
        input: CancelOrderInput,  # noqa: A002 - the contract's name
    ) -> CancelOrderResult:
        bearer = info.context.bearer
        bearer.require(Scope.CANCEL)
        order_id = read_order_id(input.order_id)
        if order_id is None:
            return OrderNotFound.of(errors.OrderNotFoundError())
        try:
            canceled = await info.context.services.cancellation.request(
                order_id,
                account_ids=bearer.cancelable_accounts,
                actor=info.context.actor,
                reason=checked_reason(input.reason, is_required=False),
            )
        except errors.OrderNotFoundError as error:
            return OrderNotFound.of(error)
        except errors.NotCancelableError as error:
            return NotCancelable.of(error)
        except errors.TransientError:
            return Unavailable.of(errors.UnavailableError("The order cannot be canceled at the moment. Try again."))
        return CancelOrderSuccess(order=order_from(canceled))


async def _success(stored: OrderStored, *, wait: timedelta, context: Context) -> PlaceOrderSuccess:
    order = stored.order
    if wait > timedelta(0):
        order = await wait_for_first_attempt(order, wait=wait, services=context.services)
    return PlaceOrderSuccess(
        order=order_from(order),
        replayed=stored.replayed,
        cursor=lambda: write_order_cursor(order, OrderSort.CREATED_DESC),
    )
