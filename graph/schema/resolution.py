"""The operators' fields that resolve an order which machines cannot. They need the scope `operator:resolve`."""

from uuid import UUID

import strawberry

from domain.model import errors
from domain.services.venue_answers import read_answer
from graph.auth.bearer import Scope
from graph.context import Context, Info
from graph.errors import bad_input
from graph.schema.fields import described
from graph.schema.global_ids import read_order_id
from graph.schema.types.order import order_from
from graph.schema.types.resolution import ResolveOrderInput, ResolveOrderResult, ResolveOrderSuccess
from graph.schema.types.user_errors import ClientRequestIdConflict, InvalidInput, OrderNotFound, Unavailable
from graph.schema.types.venue_order import VenueAnswer, venue_answer_from


@strawberry.type
class ResolutionMutation:
    @described(
        (
            "Resolves an order that machines cannot: the venue no longer knows it, or lists no execution. A worker "
            "applies it and answers within 10 seconds. Subscribers see a change RESOLVED. Operators only."
        ),
        kind=strawberry.mutation,
    )
    async def resolve_order(
        self,
        info: Info,
        input: ResolveOrderInput,  # noqa: A002 - the contract's name
    ) -> ResolveOrderResult:
        context = info.context
        context.bearer.require(Scope.OPERATOR_RESOLVE)
        order_id = read_order_id(input.order_id)
        if order_id is None:
            return OrderNotFound.of(errors.OrderNotFoundError())
        desk = context.services.resolution
        try:
            asked = input.request(new_id=desk.new_id(), order_id=order_id, actor=context.actor)
            await desk.resolve(asked)
            return await _success(order_id, context)
        except errors.InvalidInputError as error:
            return InvalidInput.of(error)
        except errors.OrderNotFoundError as error:
            return OrderNotFound.of(error)
        except errors.ClientRequestIdConflictError as error:
            return ClientRequestIdConflict.of(error)
        except errors.UnavailableError as error:
            return Unavailable.of(error)


@strawberry.type
class ResolutionQuery:
    @described("What the venue answers about the order at this moment, beside what is stored. Operators only.")
    async def venue_answer(self, info: Info, order_id: strawberry.ID) -> VenueAnswer:
        context = info.context
        context.bearer.require(Scope.OPERATOR_RESOLVE)
        key = read_order_id(order_id)
        if key is None:
            raise bad_input("orderId must be the id of an order.")
        try:
            answered = await context.services.resolution.ask_venue(key, actor=context.actor)
        except errors.OrderNotFoundError:
            raise bad_input("There is no such order.") from None
        if answered.answer is None:
            raise errors.UnavailableError
        return venue_answer_from(read_answer(answered.answer))


async def _success(order_id: UUID, context: Context) -> ResolveOrderSuccess:
    order = await context.services.reader.order(order_id, account_ids=None)
    if order is None:
        raise errors.OrderNotFoundError
    return ResolveOrderSuccess(order=order_from(order))
