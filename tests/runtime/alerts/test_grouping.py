"""One message per kind and repeat time: which events are alerts, and what a message counts and names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.alerts.grouping import AlertGroup, AlertGrouping, LastMessage, message_of
from runtime.alerts.kinds import ALERTS
from runtime.alerts.matching import Alert, AlertMatcher, alert_of

ROOT = Path(__file__).parents[3]
PACKAGES = ("broadcast", "domain", "jobs", "ingest", "exchange", "runtime")


MIDNIGHT = datetime(2026, 11, 30, tzinfo=UTC)


class _Grouping(AlertGrouping):
    """The rule with a clock for people that began at midnight, and without other processes."""

    def put(self, alert: Alert, *, now: float) -> bool:
        return self.add(alert, now=now, time=MIDNIGHT + timedelta(seconds=now))

    def sent(self, *, now: float, other: LastMessage | None = None) -> list[AlertGroup]:
        return [group for group in self.due(now=now) if self.take(group, other=other, now=now)]


def _grouping() -> _Grouping:
    return _Grouping(repeat_seconds=3600, gather_seconds=3)


def _failed(order_id: str) -> Alert:
    return alert_of(ALERTS["order_failed"], {"order_id": order_id})


def _message(group: AlertGroup) -> str:
    message = message_of(group, process="worker")
    return f"{message.title}\n{message.body}"


@pytest.mark.parametrize("event", ALERTS)
def test_every_event_of_the_table_is_logged_somewhere(event: str) -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "kinds.py"]

    assert any(f'"{event}"' in source.read_text() for source in sources)


@pytest.mark.parametrize("event", ALERTS)
def test_every_message_names_what_to_do(event: str) -> None:
    grouping = _grouping()

    grouping.put(alert_of(ALERTS[event], {"order_id": "o-1", "kind": "OVERFILL"}), now=0)
    (group,) = grouping.sent(now=3)

    assert ALERTS[event].title in _message(group)
    assert f"What to do: {ALERTS[event].action}" in _message(group)


def test_an_event_that_is_in_no_row_is_no_alert() -> None:
    assert AlertMatcher(sustained_seconds=30).match("placement_postponed", {"order_id": "o-1"}, now=0) is None


def test_a_case_that_a_message_has_named_is_in_no_further_one_until_it_is_time_to_repeat_it() -> None:
    grouping = _grouping()
    grouping.put(_failed("o-1"), now=0)
    assert len(grouping.sent(now=3)) == 1

    assert not grouping.put(_failed("o-1"), now=3602)
    assert grouping.next_due_at() is None
    assert grouping.put(_failed("o-1"), now=3603)
    assert grouping.next_due_at() == 3606


def test_many_alerts_of_one_kind_are_one_message_with_its_count_and_the_first_five_orders() -> None:
    grouping = _grouping()
    for number in range(40):
        grouping.put(_failed(f"o-{number}"), now=0.05 * number)
        grouping.put(_failed("o-0"), now=0.05 * number)
    grouping.put(alert_of(ALERTS["dead_letter"], {"error": "not JSON"}), now=1)

    assert grouping.sent(now=2.9) == []
    (failed,) = grouping.sent(now=3)

    assert "order FAILED (80 times)" in _message(failed)
    assert "Which: o-0, o-1, o-2, o-3, o-4 and others (35 times)" in _message(failed)


def test_later_alerts_are_one_message_after_the_repeat_time_with_their_times() -> None:
    grouping = _grouping()
    grouping.put(_failed("o-1"), now=0)
    grouping.sent(now=3)
    grouping.put(_failed("o-2"), now=10)
    grouping.put(_failed("o-3"), now=70)

    assert grouping.sent(now=3602) == []
    (group,) = grouping.sent(now=3603)

    assert "Which: o-2, o-3" in _message(group)
    assert "When: 2026-11-30 00:00:10 UTC to 2026-11-30 00:01:10 UTC" in _message(group)


def test_an_outage_that_fails_an_order_each_second_is_one_message_an_hour_and_counts_every_order() -> None:
    grouping = _grouping()
    groups: list[AlertGroup] = []
    for second in range(4 * 3600):
        grouping.put(_failed(f"o-{second}"), now=second)
        groups += grouping.sent(now=second)
    groups += grouping.sent(now=10**6)

    assert len(groups) == 5
    assert sum(group.count for group in groups) == 4 * 3600


def test_after_the_message_of_another_process_ours_waits_without_the_cases_that_it_named() -> None:
    grouping = _grouping()
    for order_id in ("o-1", "o-2"):
        grouping.put(_failed(order_id), now=0)
    other = LastMessage(next_at=3000, named=frozenset({_failed("o-1").fingerprint}))

    assert grouping.sent(now=3, other=other) == []
    assert not grouping.put(_failed("o-1"), now=4)
    assert grouping.next_due_at() == 3000
    (group,) = grouping.sent(now=3000)

    assert [case.label for case in group.cases] == ["o-2"]


def test_a_group_of_which_another_process_has_named_every_case_is_not_sent() -> None:
    grouping = _grouping()
    grouping.put(_failed("o-1"), now=0)

    assert grouping.sent(now=3, other=LastMessage(next_at=3000, named=frozenset({_failed("o-1").fingerprint}))) == []
    assert grouping.next_due_at() is None


def test_no_alert_waits_for_other_processes_for_longer_than_the_repeat_time() -> None:
    grouping = _grouping()
    grouping.put(_failed("o-1"), now=0)
    for now in range(3, 3600):
        assert grouping.sent(now=now, other=LastMessage(next_at=now + 1000, named=frozenset())) == []

    assert len(grouping.sent(now=3600, other=LastMessage(next_at=4600, named=frozenset()))) == 1


def test_what_follows_a_message_that_no_channel_delivered_does_not_wait() -> None:
    grouping = _grouping()
    grouping.put(_failed("o-1"), now=0)
    grouping.sent(now=3)
    grouping.put(_failed("o-2"), now=4)

    grouping.forget("order_failed")

    assert grouping.put(_failed("o-1"), now=10)
    (group,) = grouping.sent(now=10)
    assert [case.label for case in group.cases] == ["o-2", "o-1"]


def test_a_stream_is_down_only_when_it_stays_so() -> None:
    matcher = AlertMatcher(sustained_seconds=30)

    assert matcher.match("stream_lost", {}, now=0) is None
    assert matcher.match("stream_lost", {}, now=29) is None
    alert = matcher.match("stream_lost", {}, now=30)

    assert alert is not None
    assert alert.kind.name == "stream_down"


@pytest.mark.parametrize("event", ["stream_connected", "leadership_lost"])
def test_a_stream_that_is_followed_again_or_by_another_is_not_down(event: str) -> None:
    matcher = AlertMatcher(sustained_seconds=30)
    matcher.match("stream_lost", {}, now=0)

    matcher.match(event, {}, now=20)

    assert matcher.match("stream_lost", {}, now=31) is None
    assert matcher.match("stream_lost", {}, now=61) is not None


@pytest.mark.parametrize(
    ("event", "fields", "end", "kind"),
    [
        ("catch_up_failed", {"cause": "periodic"}, "catch_up_recovered", "catch_up_failing"),
        ("loop_failing", {"loop": "reconcile"}, "loop_recovered", "loop_failing"),
    ],
)
def test_a_lasting_failure_is_an_alert_and_a_recovered_one_is_not(
    event: str, fields: dict[str, str], end: str, kind: str
) -> None:
    matcher = AlertMatcher(sustained_seconds=30)

    assert matcher.match(event, fields, now=0) is None
    matcher.match(end, fields, now=20)
    assert matcher.match(event, fields, now=31) is None
    alert = matcher.match(event, fields, now=61)

    assert alert is not None
    assert alert.kind.name == kind


def test_a_loop_that_recovers_ends_the_failure_of_no_other_loop() -> None:
    matcher = AlertMatcher(sustained_seconds=30)
    matcher.match("loop_failing", {"loop": "sweep"}, now=0)
    matcher.match("loop_failing", {"loop": "reconcile"}, now=0)

    matcher.match("loop_recovered", {"loop": "sweep"}, now=20)

    assert matcher.match("loop_failing", {"loop": "sweep"}, now=31) is None
    alert = matcher.match("loop_failing", {"loop": "reconcile"}, now=31)
    assert alert is not None
    assert alert.label == "reconcile"


def test_anomalies_of_one_order_are_different_alerts_by_their_kind() -> None:
    grouping = _grouping()
    for kind in ("OVERFILL", "FILL_AFTER_END", "OVERFILL"):
        grouping.put(alert_of(ALERTS["order_anomaly"], {"order_id": "o-1", "kind": kind}), now=0)

    (group,) = grouping.sent(now=3)

    assert [case.label for case in group.cases] == ["OVERFILL o-1", "FILL_AFTER_END o-1"]


def test_a_message_holds_only_our_own_ids_of_an_event() -> None:
    matcher = AlertMatcher(sustained_seconds=0)
    fields = {"order_id": "o-1", "kind": "OVERFILL", "error": "hidden", "reason": "hidden", "raw": "hidden"}
    grouping = _grouping()

    for event in ALERTS:
        alert = matcher.match(event, fields, now=0)
        assert alert is not None
        grouping.put(alert, now=0)

    groups = grouping.sent(now=3)
    assert len(groups) == len(ALERTS)
    assert not any("hidden" in _message(group) for group in groups)
