"""Revocation of tokens by operators: in force in every process within IN_FORCE_WITHIN_SECONDS."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.model.errors import InvalidInputError, TransientError
from domain.model.operator_actions import ActionKind, Actor, NewAction, state
from domain.model.revocations import CLOCKS_DIFFER_MAX, Revocation, RevokedTokens, RevokeTokens, find_issues
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.revocations import TokenRevocations
from domain.ports.telemetry import Metric, Telemetry

IN_FORCE_WITHIN_SECONDS = 2.0
"""What is promised: processes read every half second (`domain.services.revocation_list`) and close sockets in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevocation:
    """The use case of operators. `lifetime_max` is the longest lifetime of a token."""

    store: TokenRevocations
    telemetry: Telemetry
    clock: Clock
    new_id: NewId
    lifetime_max: timedelta

    async def revoke(self, asked: RevokeTokens, *, actor: Actor) -> datetime:
        """Revoke the tokens; return the moment by which every process that reaches the database refuses them.

        Raises InvalidInputError, and UnavailableError; they may be revoked then, which is logged. A repeat is harmless.
        """
        now = self.clock()
        issues = find_issues(asked, now=now)
        if issues:
            raise InvalidInputError(issues)
        revocation = self._revocation(asked, by=actor.name, now=now)
        said = {
            "token_id": asked.token_id,
            "account": asked.account_id,
            "issued_before": None if (before := revocation.tokens.issued_before) is None else before.isoformat(),
            "by": actor.name,
            "reason": revocation.reason,
        }
        said = {name: value for name, value in said.items() if value is not None}
        try:
            await self.store.revoke(revocation, action=self._action(revocation, actor=actor))
        except TransientError:
            self.telemetry.error(
                "token_revocation_unconfirmed",
                **said,
                next="the tokens may be revoked already; repeat it until it is answered",
            )
            raise
        self.telemetry.count(Metric.TOKENS_REVOKED)
        self.telemetry.warning("tokens_revoked", **said, next="every process refuses them and closes their sockets")
        return self.clock() + timedelta(seconds=IN_FORCE_WITHIN_SECONDS)

    def _action(self, revocation: Revocation, *, actor: Actor) -> NewAction:
        tokens = revocation.tokens
        return NewAction(
            id=self.new_id(),
            actor=actor,
            kind=ActionKind.TOKENS_REVOKED,
            reason=revocation.reason,
            account_id=tokens.account_id,
            after=state({"tokenId": tokens.token_id, "issuedBefore": tokens.issued_before}),
        )

    def _revocation(self, asked: RevokeTokens, *, by: str, now: datetime) -> Revocation:
        tokens = RevokedTokens(
            token_id=asked.token_id,
            account_id=asked.account_id,
            issued_before=None if asked.account_id is None else asked.issued_before or now,
            # A token that exists now was issued by now, by a clock that may be ahead of ours, and it is accepted for
            # as long after its end as clocks may differ.
            expires_at=now + self.lifetime_max + 2 * CLOCKS_DIFFER_MAX,
        )
        return Revocation(tokens=tokens, revoked_at=now, revoked_by=by, reason=asked.reason.strip())
