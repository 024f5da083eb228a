"""The rules for tokens of this installation: their longest lifetime, and which are revoked. Only for the API."""

from datetime import timedelta

from domain.services.revocation_list import RevocationList
from graph.auth.accepted_tokens import AcceptedTokens
from graph.auth.tokens import TokenVerifier
from runtime.processes.lifecycle import Process, utc_now
from runtime.resources.database import DatabaseResources


def make_accepted_tokens(process: Process, database: DatabaseResources, verifier: TokenVerifier) -> AcceptedTokens:
    """Return the rules for verified tokens, with what is revoked: read it before tokens are verified."""
    return AcceptedTokens(
        verifier=verifier,
        revocations=RevocationList(database.revocations, clock=utc_now, telemetry=process.telemetry),
        lifetime_max=timedelta(seconds=process.settings.token_max_lifetime_seconds),
        issue_time_required=process.settings.token_issue_time_required,
    )
