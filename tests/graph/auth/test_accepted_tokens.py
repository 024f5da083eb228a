"""Verified tokens that are refused all the same: too long a life, no time of issue, a revocation."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from domain.model.revocations import RevokeTokens
from domain.services.revocation_list import RevocationList
from domain.services.token_revocation import TokenRevocation
from graph.auth.accepted_tokens import AcceptedTokens
from graph.auth.bearer import Bearer
from graph.auth.tokens import HmacTokens, InvalidTokenError, VerificationUnavailableError, secret_key_id
from tests.support.api_server import SECRET, token
from tests.support.fakes.clock import MIDNIGHT, SettableClock
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.operators import OLGA

HOUR = timedelta(hours=1)


class Verified:
    """A TokenVerifier for which every token is valid, of `alice`, until `expires_at`; its text is its id."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.expires_at: datetime = MIDNIGHT + HOUR
        self.issued_at: datetime | None = MIDNIGHT

    def verify(self, text: str) -> Bearer:
        return Bearer(
            subject="alice",
            account_ids=("alice",),
            scopes=frozenset(),
            token_expires_at=self.expires_at,
            issued_at=self.clock.now if self.issued_at is None else self.issued_at,
            is_issue_time_known=self.issued_at is not None,
            token_id=text,
        )


@pytest.fixture
def verified() -> Verified:
    return Verified()


async def accepting(verified: Verified, *, store: MemoryTokenRevocations | None = None) -> AcceptedTokens:
    """Return the rules over it, with an hour as the longest lifetime, and revocations that were read."""
    revocations = RevocationList(
        store or MemoryTokenRevocations(), clock=verified.clock, telemetry=RecordingTelemetry()
    )
    await revocations.read()
    return AcceptedTokens(verifier=verified, revocations=revocations, lifetime_max=HOUR)


def is_accepted(tokens: AcceptedTokens, text: str = "t-1") -> bool:
    try:
        return bool(tokens.verify(text))
    except InvalidTokenError:
        return False


async def test_a_token_without_iat_has_a_lifetime_from_its_first_use(verified: Verified) -> None:
    tokens = await accepting(verified)
    verified.issued_at, verified.expires_at = None, MIDNIGHT + 1.5 * HOUR
    at_first = is_accepted(tokens)
    verified.clock.advance(HOUR)

    assert not at_first
    assert not is_accepted(tokens, "t-1")
    # Another new one expires within an hour: its age is unknown.
    assert is_accepted(tokens, "t-2")
    assert tokens.verify("t-2").issued_at == verified.clock.now


async def test_the_first_sights_of_a_process_are_bounded(verified: Verified) -> None:
    tokens = replace(await accepting(verified), first_sights_max=2)
    verified.issued_at = None
    for name in ("t-1", "t-2", "t-3"):
        tokens.verify(name)
        verified.clock.advance(HOUR / 10)

    assert tokens.verify("t-3").issued_at == verified.clock.now - HOUR / 10
    assert tokens.verify("t-1").issued_at == verified.clock.now


async def test_where_a_time_of_issue_is_required_a_token_without_one_is_refused(verified: Verified) -> None:
    tokens = replace(await accepting(verified), issue_time_required=True)
    dated = is_accepted(tokens)
    verified.issued_at = None

    assert dated
    assert not is_accepted(tokens)


async def test_before_the_revocations_were_read_no_token_is_accepted_and_a_bad_one_is_still_bad() -> None:
    revocations = RevocationList(MemoryTokenRevocations(), clock=SettableClock(), telemetry=RecordingTelemetry())
    tokens = AcceptedTokens(verifier=HmacTokens(secret=SECRET), revocations=revocations, lifetime_max=HOUR * 2)

    with pytest.raises(VerificationUnavailableError):
        tokens.verify(token())
    with pytest.raises(InvalidTokenError):
        tokens.verify(token() + "x")


async def test_a_revoked_token_is_refused_by_its_id_and_by_its_account(verified: Verified) -> None:
    store = MemoryTokenRevocations()
    service = TokenRevocation(
        store=store, telemetry=RecordingTelemetry(), clock=verified.clock, new_id=uuid7, lifetime_max=HOUR
    )
    await service.revoke(RevokeTokens(token_id="t-1", reason="stolen"), actor=OLGA)
    by_id = await accepting(verified, store=store)
    verified.clock.advance(HOUR / 2)
    await service.revoke(RevokeTokens(account_id="alice", reason="stolen"), actor=OLGA)
    by_account = await accepting(verified, store=store)
    later = [is_accepted(by_account, "t-2")]
    verified.issued_at = verified.clock.now
    later.append(is_accepted(by_account, "t-2"))
    verified.issued_at, verified.expires_at = None, verified.clock.now + HOUR

    assert not is_accepted(by_id, "t-1")
    assert is_accepted(by_id, "t-2")
    assert later == [False, True]
    assert not is_accepted(by_account, "t-2")


def test_a_token_of_a_shared_secret_names_the_secret_and_shows_nothing_of_it() -> None:
    first, second = HmacTokens(secret=SECRET), HmacTokens(secret=SECRET[::-1], previous_secret=SECRET)

    key_id = first.verify(token()).key_id

    assert key_id == second.verify(token()).key_id == secret_key_id(SECRET)
    assert key_id != secret_key_id(SECRET[::-1])
    assert SECRET not in str(key_id)


def test_a_token_has_its_id_and_its_time_of_issue() -> None:
    bearer = HmacTokens(secret=SECRET).verify(token(jti="t-1", iat=1_700_000_000))
    without = HmacTokens(secret=SECRET).verify(token(jti=""))

    assert (bearer.token_id, bearer.issued_at.timestamp(), bearer.is_issue_time_known) == ("t-1", 1_700_000_000, True)
    assert (without.token_id, without.is_issue_time_known) == (None, False)
