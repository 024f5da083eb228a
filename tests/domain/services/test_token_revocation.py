"""Revoking tokens, and the list of what is revoked that each process keeps."""

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from domain.model.errors import InvalidInputError, UnavailableError
from domain.model.operator_actions import ActionKind
from domain.model.revocations import RevokeTokens
from domain.ports.telemetry import Metric
from domain.services.revocation_list import CHANGES_MAX, RevocationList
from domain.services.token_revocation import TokenRevocation
from tests.support.fakes.clock import SettableClock
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.token_revocations import MemoryTokenRevocations
from tests.support.operators import OLGA

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Desk:
    """An operator's service and one process's list, over the same store. Tokens are valid for an hour at most."""

    def __init__(self) -> None:
        self.store = MemoryTokenRevocations()
        self.clock = SettableClock()
        self.telemetry = RecordingTelemetry()
        self.service = TokenRevocation(
            store=self.store, telemetry=self.telemetry, clock=self.clock, new_id=uuid7, lifetime_max=HOUR
        )
        self.revoked = self.new_list()

    def new_list(self, *, changes_max: int = CHANGES_MAX) -> RevocationList:
        return RevocationList(self.store, clock=self.clock, telemetry=self.telemetry, changes_max=changes_max)

    async def revoke(self, *, token_id: str | None = None, account_id: str | None = None) -> None:
        asked = RevokeTokens(token_id=token_id, account_id=account_id, reason=" stolen ")
        await self.service.revoke(asked, actor=OLGA)

    def count_in_force(self) -> float:
        return self.telemetry.gauges[Metric.REVOCATIONS]

    def is_token_revoked(self, token_id: str) -> bool:
        return self.revoked.is_revoked(token_id=token_id, account_ids=["alice"], issued_at=self.clock())


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_revocation_is_promised_to_be_in_force_after_two_seconds_and_is_logged(desk: Desk) -> None:
    in_force_at = await desk.service.revoke(RevokeTokens(token_id="t-1", reason=" stolen "), actor=OLGA)

    (said,) = desk.telemetry.said("tokens_revoked")
    (action,) = desk.store.actions
    assert in_force_at == desk.clock.now + 2 * SECOND
    assert (action.kind, action.actor, action.reason) == (ActionKind.TOKENS_REVOKED, OLGA, "stolen")
    assert action.after == '{"issuedBefore":null,"tokenId":"t-1"}'
    assert {name: said[name] for name in ("token_id", "by", "reason")} == {
        "token_id": "t-1",
        "by": "olga",
        "reason": "stolen",
    }
    assert desk.telemetry.counted(Metric.TOKENS_REVOKED) == 1


async def test_what_is_wrong_is_stored_nowhere(desk: Desk) -> None:
    with pytest.raises(InvalidInputError):
        await desk.service.revoke(RevokeTokens(reason="stolen"), actor=OLGA)

    assert not desk.store.stored


async def test_a_revocation_that_may_have_been_stored_is_logged_as_unconfirmed(desk: Desk) -> None:
    desk.store.is_away = True

    with pytest.raises(UnavailableError):
        await desk.revoke(token_id="t-1")

    assert len(desk.telemetry.said("token_revocation_unconfirmed")) == 1
    assert desk.telemetry.counted(Metric.TOKENS_REVOKED) == 0


async def test_a_list_knows_nothing_before_everything_was_read_once(desk: Desk) -> None:
    desk.revoked = desk.new_list(changes_max=2)
    for name in ("t-1", "t-2", "t-3"):
        await desk.revoke(token_id=name)

    steps = []
    for _ in range(3):
        steps.append((desk.revoked.is_read, desk.is_token_revoked("t-3")))
        await desk.revoked.read()

    assert steps == [(False, False), (False, False), (True, True)]


async def test_what_was_read_stays_in_force_while_the_database_is_away(desk: Desk) -> None:
    await desk.revoke(token_id="t-1")
    await desk.revoked.read()
    desk.store.is_away = True

    with pytest.raises(UnavailableError):
        await desk.revoked.read()

    assert desk.revoked.is_read
    assert desk.is_token_revoked("t-1")
    assert not desk.is_token_revoked("t-2")


async def test_after_an_outage_everything_is_read_again_and_nothing_is_taken_back(desk: Desk) -> None:
    """The database may have been restored: positions count from earlier, and revocations are lost there."""
    await desk.revoke(token_id="lost")
    await desk.revoke(account_id="alice")
    await desk.revoked.read()
    desk.store.is_away = True
    with pytest.raises(UnavailableError):
        await desk.revoked.read()
    desk.store.is_away, desk.store.head = False, 0
    desk.store.stored.clear()
    for name in ("t-1", "t-2", "t-3"):
        await desk.revoke(token_id=name)

    await desk.revoked.read()

    assert [desk.is_token_revoked(name) for name in ("lost", "t-1", "t-2", "t-3")] == [True] * 4


async def test_an_entry_leaves_when_no_token_can_be_valid_any_more(desk: Desk) -> None:
    await desk.revoke(token_id="t-1")
    desk.clock.advance(HOUR / 2)
    await desk.revoke(account_id="alice")
    await desk.revoked.read()
    at_first = desk.count_in_force()
    desk.clock.advance(HOUR / 2)
    await desk.revoked.read()
    after_its_time = desk.is_token_revoked("t-1")

    # A clock may be five seconds behind, and a token is accepted five seconds after its end.
    desk.clock.advance(11 * SECOND)
    await desk.revoked.read()
    after_all_clocks = desk.count_in_force()
    desk.clock.advance(HOUR)
    await desk.revoked.read()

    assert at_first == 2
    assert after_its_time
    assert after_all_clocks == 1
    assert desk.count_in_force() == 0


async def test_an_account_that_is_revoked_again_keeps_one_entry_that_lasts(desk: Desk) -> None:
    await desk.revoke(account_id="alice")
    await desk.revoke(token_id="t-1")
    desk.clock.advance(HOUR / 2)
    await desk.revoke(account_id="alice")
    await desk.revoked.read()
    assert desk.count_in_force() == 2

    desk.clock.advance(HOUR / 2 + 11 * SECOND)
    await desk.revoked.read()

    assert desk.count_in_force() == 1
    issued_at = desk.clock.now - HOUR
    assert desk.revoked.is_revoked(token_id=None, account_ids=["alice"], issued_at=issued_at)


@pytest.mark.parametrize(
    ("account_ids", "seconds", "is_revoked"),
    [
        (["alice"], -1, True),
        (["alice"], 0, False),
        (["alice"], 1, False),
        (["alice"], None, True),
        (["bob"], -1, False),
        (["bob"], None, False),
        (["bob", "alice"], -1, True),
        ([], -1, False),
    ],
)
async def test_tokens_of_an_account_are_judged_by_the_moment_of_their_issue(
    desk: Desk, account_ids: list[str], seconds: int | None, *, is_revoked: bool
) -> None:
    await desk.revoke(account_id="alice")
    revoked_at = desk.clock.now
    await desk.revoked.read()

    issued_at = None if seconds is None else revoked_at + seconds * SECOND

    assert desk.revoked.is_revoked(token_id="t", account_ids=account_ids, issued_at=issued_at) is is_revoked
