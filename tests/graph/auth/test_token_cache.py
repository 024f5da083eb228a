"""Tokens that were verified a moment ago are not verified again, and none outlives its time."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from graph.auth.bearer import Bearer
from graph.auth.token_cache import TokenCache
from graph.auth.tokens import InvalidTokenError
from tests.support.fakes.clock import MIDNIGHT, SettableClock

SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Issuer:
    """Knows some tokens, each with its expiry, and counts the verifications."""

    clock: SettableClock = field(default_factory=SettableClock)
    lifetimes: dict[str, timedelta] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    steady: float = 0.0

    def verify(self, token: str) -> Bearer:
        self.asked.append(token)
        expires_at = MIDNIGHT + self.lifetimes.get(token, timedelta(0))
        if self.clock() >= expires_at:
            raise InvalidTokenError
        return Bearer(
            subject=token,
            account_ids=(token,),
            scopes=frozenset(),
            token_expires_at=expires_at,
            issued_at=MIDNIGHT,
        )

    def remembering(self, *, tokens_max: int = 10) -> TokenCache:
        return TokenCache(verifier=self, tokens_max=tokens_max, clock=self.clock, steady_seconds=lambda: self.steady)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(lifetimes=dict.fromkeys(("alice", "bob", "carol"), 3600 * SECOND) | {"brief": 10 * SECOND})


def test_a_token_is_verified_once_and_again_after_a_minute(issuer: Issuer) -> None:
    tokens = issuer.remembering()

    viewers = [tokens.verify("alice") for _ in range(3)]
    issuer.steady = 59.9
    tokens.verify("alice")
    asked_within_a_minute = len(issuer.asked)
    issuer.steady = 60.1
    tokens.verify("alice")

    assert {bearer.subject for bearer in viewers} == {"alice"}
    assert asked_within_a_minute == 1
    assert len(issuer.asked) == 2


def test_a_remembered_token_is_refused_from_the_moment_it_expires(issuer: Issuer) -> None:
    tokens = issuer.remembering()
    tokens.verify("brief")

    issuer.clock.advance(10 * SECOND)

    with pytest.raises(InvalidTokenError):
        tokens.verify("brief")


def test_a_refusal_is_never_remembered(issuer: Issuer) -> None:
    tokens = issuer.remembering()
    with pytest.raises(InvalidTokenError):
        tokens.verify("dora")

    issuer.lifetimes["dora"] = 5 * SECOND

    assert tokens.verify("dora").subject == "dora"


def test_the_oldest_of_too_many_tokens_makes_room(issuer: Issuer) -> None:
    tokens = issuer.remembering(tokens_max=2)
    for name in ("alice", "bob", "carol"):
        tokens.verify(name)

    tokens.verify("carol")
    tokens.verify("alice")

    assert issuer.asked == ["alice", "bob", "carol", "alice"]


def test_what_is_forgotten_is_verified_again_and_nothing_else(issuer: Issuer) -> None:
    tokens = issuer.remembering()
    for name in ("alice", "bob"):
        tokens.verify(name)

    tokens.forget(lambda bearer: bearer.subject == "alice")
    for name in ("alice", "bob"):
        tokens.verify(name)

    assert issuer.asked == ["alice", "bob", "alice"]
