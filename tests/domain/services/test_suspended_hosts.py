"""A host that was suspended between a claim and its send: the claim is checked by the store's clock first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.errors import UnavailableError
from domain.model.order import OrderStatus
from domain.ports.order_store import Claim
from domain.services.claim_age import OTHER_CLOCKS, ClaimAge
from domain.services.submission import Submission
from tests.support.examples import ORDER_ID
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.memory_gateway import SECOND, Desk

LEASE = 30 * SECOND


@dataclass(slots=True)
class SuspendedStore(MemoryOrderStore):
    """A store whose answer to a claim arrives after the host was suspended for `suspended`, by the store's clock.

    `asked` are the claims that were checked; `someone_else` claims meanwhile; `is_away` fails each check.
    """

    suspended: timedelta = timedelta(0)
    seen: timedelta = timedelta(0)
    is_away: bool = False
    asked: list[Claim] = field(default_factory=list)
    passed_seconds: float = 0.0

    def host_clock(self) -> float:
        """Return a clock of the host that may continue during a suspend."""
        return 1000.0 + self.passed_seconds

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        claims = await MemoryOrderStore.claim(self, order_ids, lease=lease)
        self.clock.advance(self.suspended)  # type: ignore[attr-defined] # a desk's clock can be set
        self.passed_seconds = self.seen.total_seconds()
        return claims

    async def holds_claim(self, claim: Claim, *, within: timedelta) -> bool:
        if self.is_away:
            raise UnavailableError
        self.asked.append(claim)
        return await MemoryOrderStore.holds_claim(self, claim, within=within)


@dataclass(slots=True)
class Suspension:
    """A desk, its store, and its submission."""

    desk: Desk
    store: SuspendedStore

    @property
    def submission(self) -> Submission:
        return replace(self.desk.submission, clocks=[lambda: 0.0, self.store.host_clock])


@pytest.fixture
async def suspension() -> Suspension:
    """Return a desk with one order, whose store's answers arrive late."""
    desk = Desk()
    await desk.store()
    store = SuspendedStore(desk.clock, rows=desk.orders.rows, changes=desk.orders.changes)
    desk.orders = store
    return Suspension(desk, store)


async def test_a_fresh_claim_costs_no_question(suspension: Suspension) -> None:
    suspension.store.suspended = suspension.store.seen = LEASE / 4

    await suspension.submission.submit([ORDER_ID])

    assert suspension.desk.venue.asked == ["submit"]
    assert suspension.store.asked == []


@pytest.mark.parametrize("seen", [LEASE / 3, -LEASE / 3, timedelta(days=1)])
async def test_a_claim_that_looks_old_by_one_clock_and_is_not_is_sent_after_one_question(
    suspension: Suspension, seen: timedelta
) -> None:
    suspension.store.suspended, suspension.store.seen = SECOND, seen

    await suspension.submission.submit([ORDER_ID])

    assert len(suspension.store.asked) == 1
    assert suspension.desk.order().status is OrderStatus.PLACED


@pytest.mark.parametrize("suspended", [LEASE / 2 + SECOND, 2 * LEASE, timedelta(days=1)])
async def test_a_claim_that_is_old_by_the_stores_clock_is_not_sent(
    suspension: Suspension, suspended: timedelta
) -> None:
    suspension.store.suspended = suspension.store.seen = suspended

    await suspension.submission.submit([ORDER_ID])

    assert suspension.desk.venue.asked == []
    assert suspension.desk.row().attempts == 0
    assert suspension.desk.order().status is OrderStatus.PENDING


async def test_a_claim_whose_order_another_worker_sent_meanwhile_is_not_sent(suspension: Suspension) -> None:
    other = suspension.desk.submission
    mine = (await suspension.store.claim([ORDER_ID], lease=LEASE))[0]
    age = ClaimAge(clocks=[suspension.store.host_clock])
    suspension.desk.clock.advance(LEASE)
    await other.submit([ORDER_ID])
    suspension.store.passed_seconds = LEASE.total_seconds() + 1
    asked = len(suspension.desk.venue.asked)

    result = await suspension.submission._make_attempt(mine, age)  # noqa: SLF001 - between claim and send

    assert result.outcome == "too_late"
    assert suspension.desk.venue.asked[asked:] == []


async def test_nothing_is_sent_while_the_store_cannot_confirm_an_old_claim(suspension: Suspension) -> None:
    suspension.store.seen, suspension.store.is_away = LEASE / 3, True

    await suspension.submission.submit([ORDER_ID])

    assert suspension.desk.venue.asked == []
    assert suspension.desk.row().attempts == 0
    assert suspension.desk.row().submit_due_at is not None


def test_the_clocks_of_this_host_advance() -> None:
    before = [clock() for clock in OTHER_CLOCKS]

    assert len(before) >= 1
    assert all(clock() >= then for clock, then in zip(OTHER_CLOCKS, before, strict=True))
