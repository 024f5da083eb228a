"""The revocation of tokens: operators' inputs and results."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.model.revocations import RevokeTokens
from graph.schema.types.inputs import given
from graph.schema.types.user_errors import InvalidInput, Unavailable


@strawberry.input(description="Either one token, by tokenId, or the tokens of an account.")
class RevokeTokensInput:
    token_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="The token's `jti`, at most 256 characters."
    )
    account_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whose tokens are revoked. Those without `iat` are taken for older than any moment.",
    )
    issued_before: datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "With accountId: only tokens whose `iat` is before this moment; now if left out. `iat` counts whole "
            "seconds, so a token of the same second is revoked as well."
        ),
    )
    reason: str = strawberry.field(description="For the trail; 1 to 500 characters.")

    def command(self) -> RevokeTokens:
        """Return the command for the domain."""
        account_id = given(self.account_id)
        return RevokeTokens(
            token_id=given(self.token_id),
            account_id=None if account_id is None else str(account_id),
            issued_before=given(self.issued_before),
            reason=self.reason,
        )


@strawberry.type
class RevokeTokensSuccess:
    in_force_at: datetime = strawberry.field(
        description="By then every process that reaches the database refuses the tokens and has closed their sockets."
    )


RevokeTokensResult = Annotated[RevokeTokensSuccess | InvalidInput | Unavailable, strawberry.union("RevokeTokensResult")]
