"""Few messages of many alerts: which events are alerts, each case once in a while, a burst as one message."""

from pathlib import Path

import pytest

from runtime.alerts.grouping import CASES_PER_BURST_MAX, AlertGroup, AlertGrouping, message_of
from runtime.alerts.kinds import ALERTS, Alert, AlertMatcher, alert_of

ROOT = Path(__file__).parents[3]
PACKAGES = ("domain", "jobs", "ingest", "exchange", "runtime")


def _gathering() -> AlertGrouping:
    return AlertGrouping(repeat_seconds=3600, gather_seconds=3, gather_max_seconds=300)


def _failed(order_id: str) -> Alert:
    return alert_of(ALERTS["order_failed"], {"order_id": order_id})


def _message(burst: AlertGroup) -> str:
    message = message_of(burst, process="worker")
    return f"{message.title}\n{message.body}"


@pytest.mark.parametrize("event", ALERTS)
def test_every_event_of_the_table_is_said_somewhere(event: str) -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "table.py"]

    assert any(f'"{event}"' in source.read_text() for source in sources)


@pytest.mark.parametrize("event", ALERTS)
def test_every_alert_is_told_with_what_to_do(event: str) -> None:
    gathering = _gathering()

    gathering.add(alert_of(ALERTS[event], {"order_id": "o-1", "kind": "OVERFILL"}), now=0)
    (burst,) = gathering.take(now=3)

    assert ALERTS[event].title in _message(burst)
    assert f"What to do: {ALERTS[event].to_do}" in _message(burst)


def test_an_event_that_is_in_no_row_is_no_alert() -> None:
    assert AlertMatcher(lasting_seconds=30).notice("placement_postponed", {"order_id": "o-1"}, now=0) is None


def test_the_same_case_is_told_once_until_the_time_to_repeat_it_has_come() -> None:
    gathering = _gathering()

    assert gathering.add(_failed("o-1"), now=0)
    assert not gathering.add(_failed("o-1"), now=3599)
    assert gathering.add(_failed("o-2"), now=3599)
    assert gathering.add(_failed("o-1"), now=3600)


def test_a_burst_of_one_kind_is_one_message_with_its_count_and_the_first_few_orders() -> None:
    gathering = _gathering()
    for number in range(40):
        gathering.add(_failed(f"o-{number}"), now=0.05 * number)
    gathering.add(alert_of(ALERTS["dead_letter"], {"error": "not JSON"}), now=1)

    assert gathering.take(now=2.9) == []
    (failed,) = gathering.take(now=3)

    assert failed.count == 40
    assert "order FAILED (40 times)" in _message(failed)
    assert "Which: o-0, o-1, o-2, o-3, o-4 and 35 more" in _message(failed)


def test_what_does_not_fit_into_a_burst_is_counted_all_the_same() -> None:
    gathering = _gathering()
    for number in range(CASES_PER_BURST_MAX + 7):
        gathering.add(_failed(f"o-{number}"), now=0)

    (burst,) = gathering.take(now=3)

    assert len(burst.alerts) == CASES_PER_BURST_MAX
    assert burst.count == CASES_PER_BURST_MAX + 7


def test_an_outage_of_an_hour_that_fails_an_order_each_second_is_a_score_of_messages() -> None:
    gathering = _gathering()
    bursts: list[AlertGroup] = []
    for second in range(3600):
        gathering.add(_failed(f"o-{second}"), now=second)
        bursts += gathering.take(now=second)
    bursts += gathering.take(now=10_000)

    assert len(bursts) < 20
    assert sum(burst.count for burst in bursts) == 3600


def test_after_a_quiet_while_people_are_told_quickly_again() -> None:
    gathering = _gathering()
    gathering.add(_failed("o-1"), now=0)
    gathering.take(now=3)

    gathering.add(_failed("o-2"), now=400)

    assert gathering.due_at() == 403


def test_what_reached_nobody_is_told_again() -> None:
    gathering = _gathering()
    gathering.add(_failed("o-1"), now=0)
    (burst,) = gathering.take(now=3)

    gathering.forget(burst.alerts)

    assert gathering.add(_failed("o-1"), now=10)


def test_a_stream_is_down_only_when_it_stays_so() -> None:
    noticing = AlertMatcher(lasting_seconds=30)

    assert noticing.notice("stream_lost", {}, now=0) is None
    assert noticing.notice("stream_lost", {}, now=29) is None
    alert = noticing.notice("stream_lost", {}, now=30)

    assert alert is not None
    assert alert.kind.name == "stream_down"


@pytest.mark.parametrize("event", ["stream_connected", "leadership_lost"])
def test_a_stream_that_is_followed_again_or_by_another_is_not_down(event: str) -> None:
    noticing = AlertMatcher(lasting_seconds=30)
    noticing.notice("stream_lost", {}, now=0)

    noticing.notice(event, {}, now=20)

    assert noticing.notice("stream_lost", {}, now=31) is None
    assert noticing.notice("stream_lost", {}, now=61) is not None


def test_anomalies_of_one_order_are_told_apart_by_their_kind() -> None:
    gathering = _gathering()
    for kind in ("OVERFILL", "FILL_AFTER_END", "OVERFILL"):
        gathering.add(alert_of(ALERTS["order_anomaly"], {"order_id": "o-1", "kind": kind}), now=0)

    (burst,) = gathering.take(now=3)

    assert [alert.label for alert in burst.alerts] == ["OVERFILL o-1", "FILL_AFTER_END o-1"]


def test_nothing_of_an_event_is_told_but_our_own_ids() -> None:
    noticing = AlertMatcher(lasting_seconds=0)
    fields = {"order_id": "o-1", "kind": "OVERFILL", "error": "hidden", "reason": "hidden", "raw": "hidden"}
    gathering = _gathering()

    for event in ALERTS:
        alert = noticing.notice(event, fields, now=0)
        assert alert is not None
        gathering.add(alert, now=0)

    bursts = gathering.take(now=3)
    assert len(bursts) == len(ALERTS)
    assert not any("hidden" in _message(burst) for burst in bursts)
