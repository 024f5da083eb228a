"""Few messages for many alerts: which events are alerts, each once in a while, many of one kind as one message."""

from pathlib import Path

import pytest

from runtime.alerts.grouping import ALERTS_PER_GROUP_MAX, AlertGroup, AlertGrouping, message_of
from runtime.alerts.kinds import ALERTS
from runtime.alerts.matching import Alert, AlertMatcher, alert_of

ROOT = Path(__file__).parents[3]
PACKAGES = ("broadcast", "domain", "jobs", "ingest", "exchange", "runtime")


def _grouping() -> AlertGrouping:
    return AlertGrouping(repeat_seconds=3600, gather_seconds=3, gather_max_seconds=300)


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

    grouping.add(alert_of(ALERTS[event], {"order_id": "o-1", "kind": "OVERFILL"}), now=0)
    (group,) = grouping.take_due(now=3)

    assert ALERTS[event].title in _message(group)
    assert f"What to do: {ALERTS[event].action}" in _message(group)


def test_an_event_that_is_in_no_row_is_no_alert() -> None:
    assert AlertMatcher(sustained_seconds=30).match("placement_postponed", {"order_id": "o-1"}, now=0) is None


def test_the_same_alert_is_sent_once_until_it_is_time_to_repeat_it() -> None:
    grouping = _grouping()

    assert grouping.add(_failed("o-1"), now=0)
    assert not grouping.add(_failed("o-1"), now=3599)
    assert grouping.add(_failed("o-2"), now=3599)
    assert grouping.add(_failed("o-1"), now=3600)


def test_many_alerts_of_one_kind_are_one_message_with_its_count_and_the_first_few_orders() -> None:
    grouping = _grouping()
    for number in range(40):
        grouping.add(_failed(f"o-{number}"), now=0.05 * number)
    grouping.add(alert_of(ALERTS["dead_letter"], {"error": "not JSON"}), now=1)

    assert grouping.take_due(now=2.9) == []
    (failed,) = grouping.take_due(now=3)

    assert failed.count == 40
    assert "order FAILED (40 times)" in _message(failed)
    assert "Which: o-0, o-1, o-2, o-3, o-4 and 35 more" in _message(failed)


def test_alerts_beyond_the_bound_of_a_group_are_counted() -> None:
    grouping = _grouping()
    for number in range(ALERTS_PER_GROUP_MAX + 7):
        grouping.add(_failed(f"o-{number}"), now=0)

    (group,) = grouping.take_due(now=3)

    assert len(group.alerts) == ALERTS_PER_GROUP_MAX
    assert group.count == ALERTS_PER_GROUP_MAX + 7


def test_an_outage_of_an_hour_that_fails_an_order_each_second_is_a_score_of_messages() -> None:
    grouping = _grouping()
    groups: list[AlertGroup] = []
    for second in range(3600):
        grouping.add(_failed(f"o-{second}"), now=second)
        groups += grouping.take_due(now=second)
    groups += grouping.take_due(now=10_000)

    assert len(groups) < 20
    assert sum(group.count for group in groups) == 3600


def test_after_a_quiet_period_the_first_alert_waits_only_shortly() -> None:
    grouping = _grouping()
    grouping.add(_failed("o-1"), now=0)
    grouping.take_due(now=3)

    grouping.add(_failed("o-2"), now=400)

    assert grouping.due_at() == 403


def test_what_no_channel_delivered_is_sent_again() -> None:
    grouping = _grouping()
    grouping.add(_failed("o-1"), now=0)
    (group,) = grouping.take_due(now=3)

    grouping.forget(group.alerts)

    assert grouping.add(_failed("o-1"), now=10)


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
def test_what_goes_on_failing_is_an_alert_and_what_recovers_is_not(
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
        grouping.add(alert_of(ALERTS["order_anomaly"], {"order_id": "o-1", "kind": kind}), now=0)

    (group,) = grouping.take_due(now=3)

    assert [alert.label for alert in group.alerts] == ["OVERFILL o-1", "FILL_AFTER_END o-1"]


def test_a_message_holds_only_our_own_ids_of_an_event() -> None:
    matcher = AlertMatcher(sustained_seconds=0)
    fields = {"order_id": "o-1", "kind": "OVERFILL", "error": "hidden", "reason": "hidden", "raw": "hidden"}
    grouping = _grouping()

    for event in ALERTS:
        alert = matcher.match(event, fields, now=0)
        assert alert is not None
        grouping.add(alert, now=0)

    groups = grouping.take_due(now=3)
    assert len(groups) == len(ALERTS)
    assert not any("hidden" in _message(group) for group in groups)
