"""OrderStore, recording: everything or nothing, with checks of versions and of facts that only grow, exactly."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from domain.model.apply_reports import apply_reports
from domain.model.changes import ChangeKind
from domain.model.errors import ExecutionIdTakenError, VersionConflictError
from domain.model.order import CANCELED_BEFORE_SENDING, End, OrderStatus, VenueCount
from domain.model.reports import OrderReplaced, Report
from domain.model.restatement import Restatement
from domain.ports.order_store import ExecutionKey, OrderStore, OrderWrite
from domain.services.order_cache import OrderCache
from domain.services.recording import Recording
from tests.support.examples import (
    VENUE_REFUSES,
    accepted,
    at,
    became_unknown,
    busted,
    cancel_asked,
    cancel_refused,
    cancel_sent,
    corrected,
    ended,
    filled,
    name_of,
    new_order,
    now,
    refused,
    restated,
)
from tests.support.fakes.signals import RecordingPublisher, RecordingWakeUps
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.store_driver import Clerk


async def test_what_was_written_is_read_back_as_it_was(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    writes = await clerk.decide(
        {order_id: [accepted(), filled("10"), cancel_asked(), cancel_sent(), cancel_refused(), ended(End.EXPIRED)]}
    )

    await store.write(writes)

    key = ExecutionKey(venue_client_order_id=name_of(order_id), venue_execution_id="E1", cumulative_quantity=None)
    loaded = (await store.load_reported([name_of(order_id)], [key]))[name_of(order_id)]
    assert loaded.order == writes[0].order
    assert list(loaded.executions) == list(writes[0].executions)


async def test_a_restatement_is_read_back_exactly_and_only_by_the_changes_since(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    report = restated("0.000000000000000001", symbol='A "quoted" \\ name', limit_price="999999999999999999.5")

    recorded = await clerk.record({order_id: [accepted(), report]})

    assert (await store.load([order_id]))[order_id].order.facts.restatement == report.restatement
    assert [change.order.restatement for change in recorded] == [None, report.restatement]
    assert [change.kind for change in recorded] == [ChangeKind.PLACED, ChangeKind.RESTATED]


async def test_changes_come_back_in_order_with_their_positions_in_each_account(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(4, accounts=("b", "a"))
    writes = await clerk.decide(
        {order_id: [accepted(venue_order_id=f"v-{order_id}"), filled("10", name=f"e-{order_id}")] for order_id in ids}
    )

    recorded = await store.write(writes)

    assert [change.kind for change in recorded] == [ChangeKind.PLACED, ChangeKind.FILL] * 4
    places = {account: [one.sequence for one in recorded if one.order.account_id == account] for account in "ab"}
    assert places == {"a": [3, 4, 5, 6], "b": [3, 4, 5, 6]}
    assert [change.order.version for change in recorded] == [2, 3] * 4
    assert recorded[1].execution is not None
    assert recorded[1].execution.quantity == 10


async def test_one_stale_order_among_many_and_nothing_at_all_is_written(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(50, accounts=("a", "b", "c"))
    late = await clerk.decide({order_id: [filled("10", name=f"e-{order_id}")] for order_id in ids})
    await clerk.record({ids[31]: [accepted()]})

    with pytest.raises(VersionConflictError):
        await store.write(late)

    keys = [
        ExecutionKey(venue_client_order_id=name_of(one), venue_execution_id=f"e-{one}", cumulative_quantity=None)
        for one in ids
    ]
    loaded = await store.load_reported([name_of(one) for one in ids], keys)
    assert {one.order.id for one in loaded.values() if one.order.version > 1} == {ids[31]}
    assert not any(one.executions for one in loaded.values())
    # The next change of each account follows its last one directly: no sequence number was skipped.
    sequences = [
        stored.change.sequence
        for account in "abc"
        if (stored := await store.store(new_order(account_id=account))).change
    ]
    assert sequences == [18, 19, 17]


async def test_an_unknown_order_makes_a_write_stale(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (write,) = await clerk.decide({order_id: [accepted()]})

    with pytest.raises(VersionConflictError):
        await store.write([replace(write, order=replace(write.order, id=uuid7()), changes=())])


async def test_an_order_cannot_be_written_twice_in_one_batch(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (write,) = await clerk.decide({order_id: [accepted()]})

    with pytest.raises(ValueError, match="only once"):
        await store.write([write, OrderWrite(order=write.order, read_version=1)])


async def test_a_write_of_nothing_is_nothing(store: OrderStore) -> None:
    assert list(await store.write([])) == []


@pytest.mark.parametrize(
    "quietly",
    [
        [ended(End.CANCELED)],
        [cancel_sent(3)],
        [cancel_refused(None)],
        [became_unknown()],
    ],
    ids=["another end", "a sent request", "a refusal of nothing", "an unknown outcome"],
)
async def test_a_fact_that_came_without_a_version_conflicts_with_an_older_decision(
    store: OrderStore, clerk: Clerk, quietly: Sequence[Report]
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("100")]})
    late = await clerk.decide({order_id: [busted()]})
    assert list(await clerk.record({order_id: quietly})) == []

    with pytest.raises(VersionConflictError):
        await store.write(late)


async def test_that_the_venue_canceled_is_not_lost_to_a_decision_that_knew_only_our_own_end(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [filled("100"), ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING)]})
    late = await clerk.decide({order_id: [busted()]})
    assert list(await clerk.record({order_id: [ended(End.CANCELED)]})) == []

    with pytest.raises(VersionConflictError):
        await store.write(late)


@pytest.mark.parametrize("amendment", [busted(), corrected("10", second=9)], ids=["a bust", "a correction"])
async def test_an_amendment_that_changed_nothing_visible_is_not_lost_to_an_older_decision(
    store: OrderStore, clerk: Clerk, amendment: Report
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("10")]})
    await clerk.record({order_id: [corrected("0")]})
    late = await clerk.decide({order_id: [corrected("0", second=4)]})
    await clerk.record({order_id: [amendment]})

    with pytest.raises(VersionConflictError):
        await store.write(late)


async def test_a_bust_that_came_before_its_fill_is_not_lost_to_an_older_decision(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted()]})
    late = await clerk.decide({order_id: [filled("10")]})
    assert list(await clerk.record({order_id: [busted()]})) == []

    with pytest.raises(VersionConflictError):
        await store.write(late)

    assert list(await clerk.record({order_id: [filled("10")]})) == []
    assert (await store.load([order_id]))[order_id].order.facts.filled_quantity == 0


async def test_the_first_reason_of_a_placing_phase_stays(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted()]})
    late = await clerk.decide({order_id: [replace(became_unknown(), reason=CANCELED_BEFORE_SENDING)]})
    await clerk.record({order_id: [became_unknown()]})

    assert list(await store.write(late)) == []

    facts = (await store.load([order_id]))[order_id].order.facts
    assert list(facts.phase_reasons.values()) == [became_unknown().reason]


async def test_a_correction_replaces_what_an_execution_counts(clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [filled("10", price="5")]})

    (change,) = await clerk.record({order_id: [corrected("8", price="5.5")]})

    assert change.kind is ChangeKind.CORRECTED
    assert change.order.filled_quantity == Decimal(8)
    assert change.order.notional == Decimal(44)


async def test_an_execution_that_is_stored_under_another_id_makes_a_write_stale(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("10", cumulative="10")]})
    read = (await store.load([order_id]))[order_id]
    applied = apply_reports(read.order, [filled("10", cumulative="20")], known=read.executions, now=now(), new_id=uuid7)
    unaware = OrderWrite(
        order=applied.order,
        read_version=read.order.version,
        changes=applied.changes,
        executions=applied.executions,
    )

    with pytest.raises(VersionConflictError):
        await store.write([unaware])

    key = ExecutionKey(venue_client_order_id=name_of(order_id), venue_execution_id="E1", cumulative_quantity=None)
    after = (await store.load_reported([name_of(order_id)], [key]))[name_of(order_id)]
    assert after.order == read.order
    assert [execution.cumulative_quantity for execution in after.executions] == [10]


async def test_a_cached_order_whose_fill_turns_out_to_be_stored_is_read_again(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    recording = Recording(
        orders=store,
        publisher=RecordingPublisher(),
        wake_ups=RecordingWakeUps(),
        telemetry=RecordingTelemetry(),
        clock=now,
        new_id=uuid7,
        cache=OrderCache(orders_max=10),
    )
    await recording.record({name_of(order_id): [accepted(), filled("10", cumulative="10")]})

    again = filled("10", cumulative="20", venue_order_id="V1")
    recorded = await recording.record(
        {name_of(order_id): [again, filled("5", name="E2", cumulative="25", venue_order_id="V1")]}
    )

    assert [change.order.filled_quantity for change in recorded.changes] == [15]
    assert (await store.load([order_id]))[order_id].order.facts.filled_quantity == 15


async def test_an_execution_of_another_order_is_named_and_nothing_is_written(store: OrderStore, clerk: Clerk) -> None:
    mine, theirs = await clerk.store(2, accounts=("a", "b"))
    await clerk.record({theirs: [filled("10")]})

    with pytest.raises(ExecutionIdTakenError) as caught:
        await clerk.record({mine: [filled("10"), filled("10", name="E2")]})

    assert caught.value.owners == {"E1": theirs}
    assert (await store.load([mine]))[mine].order.version == 1


async def test_one_execution_for_two_orders_of_a_batch_is_refused(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(2)

    with pytest.raises(ExecutionIdTakenError):
        await clerk.record({order_id: [filled("10")] for order_id in ids})

    assert {one.order.version for one in (await store.load(ids)).values()} == {1}


async def test_executions_are_found_by_their_id_and_by_their_cumulative_quantity(
    store: OrderStore, clerk: Clerk
) -> None:
    order_id, other = await clerk.store(2)
    fills = [filled("10", name="E1", cumulative="10"), filled("10", name="E2"), filled("10", name="E3")]
    await clerk.record({order_id: fills})

    loaded = await store.load_reported(
        [name_of(order_id), name_of(uuid7())],
        [
            ExecutionKey(
                venue_client_order_id=name_of(order_id),
                venue_execution_id="by-rest",
                cumulative_quantity=Decimal("10.0"),
            ),
            ExecutionKey(venue_client_order_id=name_of(order_id), venue_execution_id="E2", cumulative_quantity=None),
            ExecutionKey(venue_client_order_id=name_of(other), venue_execution_id="E3", cumulative_quantity=None),
        ],
    )

    assert list(loaded) == [name_of(order_id)]
    assert {execution.venue_execution_id for execution in loaded[name_of(order_id)].executions} == {"E1", "E2"}


async def test_an_open_cancel_request_is_due_at_its_due_time_and_not_before(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    (write,) = await clerk.decide({order_id: [accepted(), cancel_asked()]})

    await store.write([replace(write, cancel_in=timedelta(hours=1))])

    assert await store.claim_cancels([order_id], lease=timedelta(0)) == []


async def test_a_fill_is_recorded_when_it_is_stored_with_that_order(store: OrderStore, clerk: Clerk) -> None:
    first, second = await clerk.store(2)
    await clerk.record(
        {
            first: [accepted(venue_order_id="V1"), filled("1", name="E1", cumulative="1", venue_order_id="V1")],
            second: [accepted(venue_order_id="V2"), busted(name="E2")],
        }
    )

    asked = [("V1", "E1"), ("V2", "E1"), ("V2", "E2"), ("V1", "E3"), ('"\\', "{,}")]

    assert set(await store.recorded_fills(asked)) == {("V1", "E1")}
    assert not await store.recorded_fills([])


async def test_an_order_that_is_live_again_has_two_changes_and_is_open_at_the_venue(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [refused()]})

    recorded = await clerk.record({order_id: [filled("1")]})

    assert [(change.kind, change.order.status) for change in recorded] == [
        (ChangeKind.REVIVED, OrderStatus.PLACED),
        (ChangeKind.FILL, OrderStatus.PARTIALLY_FILLED),
    ]
    assert [change.order.reason for change in recorded] == [None, None]
    assert [row.order.id for row in await store.open_at_venue(silent_for=timedelta(0), limit=9)] == [order_id]


async def test_a_refusal_is_read_as_it_was_written(store: OrderStore, clerk: Clerk) -> None:
    ids = await clerk.store(2)

    await clerk.record({ids[0]: [became_unknown(refusal=VENUE_REFUSES)], ids[1]: [refused()]})

    kept, decided = (loaded.order for loaded in (await store.load(ids)).values())
    assert (kept.status, kept.facts.refusal) == (OrderStatus.IN_DOUBT, VENUE_REFUSES)
    assert (decided.status, decided.reason) == (OrderStatus.REJECTED, VENUE_REFUSES)


async def test_a_stored_refusal_survives_a_write_that_did_not_read_it(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [became_unknown()]})
    decided_before = await clerk.decide({order_id: [cancel_asked()]})
    await clerk.record({order_id: [became_unknown(refusal=VENUE_REFUSES)]})

    await store.write(decided_before)

    assert (await store.load([order_id]))[order_id].order.facts.refusal == VENUE_REFUSES


async def test_a_report_decided_before_a_refusal_was_recorded_is_decided_again(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    decided_before = await clerk.decide({order_id: [accepted()]})
    await clerk.record({order_id: [refused()]})

    with pytest.raises(VersionConflictError):
        await store.write(decided_before)
    recorded = await clerk.record({order_id: [accepted()]})

    assert [change.kind for change in recorded] == [ChangeKind.REVIVED]


async def test_every_id_of_an_execution_is_stored_and_one_of_them_counts(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    correction = replace(corrected("7"), amendment_id="E1-corrected")
    bust = replace(busted("E1-corrected"), amendment_id="E1-busted", at=at(9))
    reports: list[Report] = [
        filled("5", cumulative="5"),
        filled("5", name="R1", cumulative="5"),
        correction,
        bust,
        replace(filled("5", name="E2", cumulative="5"), at=at(9)),
    ]

    for report in reports:
        await clerk.record({order_id: [report]})
        await clerk.record({order_id: [report]})

    key = ExecutionKey(
        venue_client_order_id=name_of(order_id),
        venue_execution_id="E1-busted",
        cumulative_quantity=None,
        is_amended=True,
    )
    row = (await store.load_reported([name_of(order_id)], [key]))[name_of(order_id)]
    known = {one.venue_execution_id: one for one in row.executions}
    assert known.keys() == {"E1", "R1", "E1-corrected", "E1-busted", "E2"}
    assert [name for name, one in known.items() if one.is_counted and not one.is_busted] == ["E2"]
    assert (known["E1-corrected"].amends, known["E1-busted"].amends) == ("E1", "E1-corrected")
    assert (known["R1"].repeats, known["E1"].amended_at) == ("E1", (at(3), at(9)))
    assert row.order.facts.filled_quantity == 5


async def test_an_amended_execution_is_read_with_any_fill_of_its_order(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [filled("5", cumulative="5"), filled("2", name="E2", cumulative="7"), busted("E2")]})

    key = ExecutionKey(venue_client_order_id=name_of(order_id), venue_execution_id="E3", cumulative_quantity=None)
    row = (await store.load_reported([name_of(order_id)], [key]))[name_of(order_id)]

    assert [one.venue_execution_id for one in row.executions] == ["E2"]


async def test_an_ended_order_that_the_venue_counts_otherwise_is_compared_on(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    end = ended(End.CANCELED, count=VenueCount(at=at(4), quantity=Decimal(5)))
    await clerk.record({order_id: [accepted(), end]})
    compared = await store.open_at_venue(silent_for=timedelta(0), limit=10)
    assert [row.order.facts.count for row in compared] == [end.count]

    await clerk.record({order_id: [filled("5", cumulative="5")]})

    assert not await store.open_at_venue(silent_for=timedelta(0), limit=10)


@pytest.mark.parametrize(("second", "quantity"), [(4, 2), (5, 0)])
async def test_the_venues_newer_count_is_not_lost_to_an_older_decision(
    store: OrderStore, clerk: Clerk, second: int, quantity: int
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [ended(End.CANCELED)]})
    known = VenueCount(at=at(second), quantity=Decimal(quantity))
    older = await clerk.decide({order_id: [ended(End.CANCELED, count=known)]})
    # Of two counts at one moment the larger one is the newer.
    await clerk.record({order_id: [ended(End.CANCELED, count=VenueCount(at=at(5), quantity=Decimal(1)))]})

    with pytest.raises(VersionConflictError):
        await store.write(older)


def replacing(name: str, replaces: str, *, quantity: str | None = "40") -> OrderReplaced:
    """One venue order replaced another."""
    terms = None
    if quantity is not None:
        terms = Restatement(
            at=at(4), quantity=Decimal(quantity), symbol='A "quoted" \\ name', limit_price=Decimal("9.5")
        )
    return OrderReplaced(
        venue_order_id=name,
        replaces=replaces,
        at=at(4),
        venue_client_order_id=None if quantity is None else f"foreign-{name}",
        restatement=terms,
        completed=None if quantity is None else Decimal(quantity),
    )


async def test_successors_are_read_back_exactly_and_find_their_order(store: OrderStore, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    tag = str(order_id)
    first, second, third = f"a-{tag}", f"b-{tag}", f"c-{tag}"
    count = VenueCount(at=at(5), quantity=Decimal("30.000000000000000001"))
    writes = await clerk.decide(
        {
            order_id: [
                filled("10", name=f"E1-{tag}", cumulative="10", venue_order_id=first),
                replacing(second, first),
                ended(End.REPLACED, venue_order_id=first, count=VenueCount(at=at(4), quantity=Decimal(10))),
                filled("10", name=f"E2-{tag}", cumulative="10", venue_order_id=second),
                ended(End.EXPIRED, venue_order_id=second, count=count),
                replacing(third, second, quantity=None),
            ]
        }
    )
    recorded = await store.write(writes)

    keys = [
        ExecutionKey(
            venue_client_order_id=name_of(order_id), venue_execution_id=f"E{n}-{tag}", cumulative_quantity=None
        )
        for n in (1, 2)
    ]
    loaded = (await store.load_reported([name_of(order_id)], keys))[name_of(order_id)]
    assert loaded.order == writes[0].order
    assert sorted(loaded.executions, key=lambda one: one.venue_execution_id) == list(writes[0].executions)
    assert loaded.filled_up_to is None
    assert recorded[-1].order.venue_order_id == third
    assert await store.venue_client_order_ids([first, second, third, "other"]) == dict.fromkeys(
        (first, second, third), name_of(order_id)
    )
    fills = [(first, f"E1-{tag}"), (second, f"E1-{tag}"), (second, f"E2-{tag}"), (first, f"E2-{tag}")]
    assert set(await store.recorded_fills(fills)) == {fills[0], fills[2]}


async def test_a_successor_that_grew_without_a_version_conflicts_with_an_older_decision(
    store: OrderStore, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), replacing("V2", "V1"), replacing("V3", "V2")]})
    late = await clerk.decide({order_id: [filled("10", venue_order_id="V3")]})
    assert list(await clerk.record({order_id: [ended(End.REPLACED, venue_order_id="V2")]})) == []

    with pytest.raises(VersionConflictError):
        await store.write(late)


async def test_equal_fills_of_two_venue_orders_recorded_one_after_the_other_both_count(clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    tag = str(order_id)
    await clerk.record({order_id: [filled("10", name=f"E1-{tag}", cumulative="10", venue_order_id="V1")]})
    await clerk.record({order_id: [replacing("V2", "V1", quantity="90")]})

    changes = await clerk.record(
        {
            order_id: [
                filled("10", name=f"E2-{tag}", cumulative="10", venue_order_id="V2"),
                filled("10", name=f"R2-{tag}", cumulative="10", venue_order_id="V2"),
            ]
        }
    )

    assert [change.order.filled_quantity for change in changes] == [20]
