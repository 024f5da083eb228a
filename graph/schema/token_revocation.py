"""The operators' mutation that revokes tokens. It needs the scope `operator:halt`."""

import strawberry

from domain.model import errors
from graph.auth.bearer import Scope
from graph.context import Info
from graph.schema.fields import described
from graph.schema.types.revocation import RevokeTokensInput, RevokeTokensResult, RevokeTokensSuccess
from graph.schema.types.user_errors import InvalidInput, Unavailable


@strawberry.type
class RevocationMutation:
    @described(
        (
            "Revokes one token, or those of an account: requests with them are UNAUTHENTICATED, their websockets start "
            "nothing more and close with 4403. Safe to repeat. Operators only."
        ),
        kind=strawberry.mutation,
    )
    async def revoke_tokens(
        self,
        info: Info,
        input: RevokeTokensInput,  # noqa: A002 - the contract's name
    ) -> RevokeTokensResult:
        bearer = info.context.bearer
        bearer.require(Scope.OPERATOR_HALT)
        try:
            in_force_at = await info.context.services.revocation.revoke(input.command(), actor=info.context.actor)
        except errors.InvalidInputError as error:
            return InvalidInput.of(error)
        except errors.TransientError:
            message = "Whether the tokens are revoked cannot be told at the moment. Try again until it is."
            return Unavailable.of(errors.UnavailableError(message))
        return RevokeTokensSuccess(in_force_at=in_force_at)
