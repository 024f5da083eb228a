"""Sealing: everything committed is sealed once, evenly, and removed changes are reported."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.audit_chain import account_genesis
from domain.ports.audit import ChangeRange, SealedAccount
from domain.ports.telemetry import Metric
from domain.services.sealing import Sealing, head_after, share_changes, split_ranges
from jobs.sealer import Sealer
from runtime.alerts.kinds import ALERTS
from tests.support.examples import new_order, now
from tests.support.fakes.audit import MemoryAccountSeals
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.telemetry import RecordingTelemetry


@pytest.fixture
def orders() -> MemoryOrderStore:
    return MemoryOrderStore(now)


@pytest.fixture
def seals(orders: MemoryOrderStore) -> MemoryAccountSeals:
    return MemoryAccountSeals(now, orders.changes)


def sealing(seals: MemoryAccountSeals, telemetry: RecordingTelemetry, *, changes_max: int = 1_000) -> Sealing:
    return Sealing(
        seals=seals, telemetry=telemetry, holder=UUID(int=1), lease=timedelta(seconds=5), changes_max=changes_max
    )


async def store(orders: MemoryOrderStore, account_id: str, count: int) -> None:
    for number in range(count):
        await orders.store(new_order(account_id=account_id, client_order_id=f"{account_id}-{number}", at=now()))


async def test_a_long_history_is_sealed_in_parts_without_delaying_others(
    orders: MemoryOrderStore, seals: MemoryAccountSeals
) -> None:
    telemetry = RecordingTelemetry()
    await store(orders, "old", 30)
    await store(orders, "new", 2)
    service = sealing(seals, telemetry, changes_max=10)

    rounds = [await service.seal() for _ in range(4)]

    assert rounds == [False, False, False, True]
    assert [head.sequence for head in seals.sealed["new"]] == [2]
    assert [head.sequence for head in seals.sealed["old"]] == [8, 18, 28, 30]
    everything = await seals.changes([ChangeRange(account_id="old", after=0, up_to=30)])
    assert seals.sealed["old"][-1] == head_after(account_genesis("old"), everything["old"])
    assert telemetry.counted(Metric.AUDIT_SEALED) == 32


async def test_changes_that_are_gone_before_they_were_sealed_are_an_alert_and_nothing_else_waits(
    orders: MemoryOrderStore, seals: MemoryAccountSeals
) -> None:
    telemetry = RecordingTelemetry()
    await store(orders, "alice", 3)
    await store(orders, "bob", 3)
    await store(orders, "carol", 2)
    service = sealing(seals, telemetry)
    await service.seal()
    await store(orders, "dora", 3)
    del orders.changes["alice"][1:]
    del orders.changes["dora"][1]

    for _ in range(3):
        await service.seal()

    observed = [(said["account"], said["found"]) for said in telemetry.said("audit_trail_broken")]
    assert observed == [("alice", "the account's position is below its seal"), ("dora", "changes are missing")]
    assert "audit_trail_broken" in ALERTS
    assert {name: heads[-1].sequence for name, heads in seals.sealed.items()} == {"alice": 3, "bob": 3, "carol": 2}


async def test_broken_accounts_keep_no_other_from_being_sealed_however_many_they_are(
    orders: MemoryOrderStore, seals: MemoryAccountSeals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.services.sealing.ACCOUNTS_PER_ROUND_MAX", 3)
    for number in range(5):
        await store(orders, f"broken-{number}", 2)
        del orders.changes[f"broken-{number}"][0]
    await store(orders, "sound", 2)
    service = sealing(seals, RecordingTelemetry())

    for _ in range(3):
        await service.seal()

    assert [head.sequence for head in seals.sealed["sound"]] == [2]


async def test_the_lag_counts_from_the_last_round_that_left_nothing_over(
    orders: MemoryOrderStore, seals: MemoryAccountSeals
) -> None:
    telemetry, moments = RecordingTelemetry(), iter([0.0, 1.0, 2.0, 3.0, 4.0])
    await store(orders, "alice", 15)
    sealer = Sealer(
        sealing=sealing(seals, telemetry, changes_max=10),
        telemetry=telemetry,
        interval=timedelta(seconds=1),
        steady_seconds=lambda: next(moments),
    )

    lags = []
    for _ in range(4):
        await sealer.seal()
        lags.append(telemetry.gauges[Metric.AUDIT_SEAL_LAG_SECONDS])

    assert lags == [1.0, 2.0, 1.0, 1.0]


def test_capacity_left_by_short_histories_is_divided_evenly_among_long_ones() -> None:
    accounts = [
        SealedAccount(account_id=name, sequence=count, head=account_genesis(name))
        for name, count in (("huge", 200), ("big", 100), ("small", 1), ("middle", 5))
    ]
    ranges = share_changes(accounts, changes_max=20)

    shared = {one.account_id: one.up_to for one in ranges}
    portions = list(split_ranges(ranges, changes_max=8))

    assert shared == {"small": 1, "middle": 5, "big": 7, "huge": 7}
    assert [[(one.account_id, one.after, one.up_to) for one in portion] for portion in portions] == [
        [("small", 0, 1), ("middle", 0, 5), ("big", 0, 2)],
        [("big", 2, 7), ("huge", 0, 3)],
        [("huge", 3, 7)],
    ]
