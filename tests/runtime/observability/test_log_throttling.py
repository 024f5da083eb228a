"""Lines that repeat themselves in an outage: one when it begins, one with a count every so often, one at its end."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from domain.ports.telemetry import REQUEST_ID
from runtime.observability.log_throttling import KINDS_MAX, QUIET_SUMMARIES, LogThrottle
from runtime.observability.logs import configure_logs, get_logger

SECRET = "a-very-secret-password"
GATHER_SECONDS = 10.0
QUIET_SECONDS = QUIET_SUMMARIES * GATHER_SECONDS

Lines = Callable[[], Sequence[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class Watch:
    """A clock that only a test advances."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def _configured(watch: Watch, *, level: str = "INFO") -> LogThrottle:
    return configure_logs(
        process="worker",
        log_format="json",
        level=level,
        secrets=(SECRET,),
        gather_seconds=GATHER_SECONDS,
        clock=watch,
    )


def _postpone(times: int, *, error: str = "connection refused by 127.0.0.1:8001") -> None:
    for number in range(times):
        get_logger().warning("placement_postponed", order_id=f"o-{number}", error=error, next="attempted again")


def test_what_happens_to_many_orders_for_one_cause_is_one_line(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    _postpone(100)

    (line,) = lines()
    assert (line["event"], line["order_id"]) == ("placement_postponed", "o-0")


def test_while_it_lasts_a_count_is_logged_periodically_with_what_happens_next(lines: Lines, watch: Watch) -> None:
    throttle = _configured(watch)
    said = []
    for second in range(21):
        watch.now = second
        _postpone(10)
        throttle.write_summaries()
        said += [(second, line) for line in lines() if line["event"] == "repeated"]

    assert [(second, line["of"], line["times"]) for second, line in said] == [
        (10, "placement_postponed", 110),
        (20, "placement_postponed", 210),
    ]
    assert {(line["error"], line["next"]) for _, line in said} == {
        ("connection refused by 127.0.0.1:8001", "attempted again")
    }
    assert len({line["since"] for _, line in said}) == 1


def test_when_it_has_not_happened_for_that_long_its_end_is_logged_once(lines: Lines, watch: Watch) -> None:
    throttle = _configured(watch)
    _postpone(7)
    lines()

    watch.now = QUIET_SECONDS
    throttle.write_summaries()
    throttle.write_summaries()
    ended = lines()
    _postpone(1)

    (line,) = ended
    assert (line["event"], line["of"], line["times"]) == ("repeats_ended", "placement_postponed", 7)
    assert [line["event"] for line in lines()] == ["placement_postponed"]


def test_what_happened_once_has_no_end_to_tell(lines: Lines, watch: Watch) -> None:
    throttle = _configured(watch)
    _postpone(1)
    lines()

    watch.now = QUIET_SECONDS
    throttle.write_summaries()

    assert lines() == []


def test_other_causes_are_other_lines_but_ports_and_durations_make_no_other_cause(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    _postpone(2, error="HTTP 503 after 0.71 s")
    _postpone(2, error="HTTP 503 after 1.02 s")
    _postpone(2, error="HTTP 500 after 1.02 s")

    assert [line["error"] for line in lines()] == ["HTTP 503 after 0.71 s", "HTTP 500 after 1.02 s"]


def test_an_error_that_wants_a_person_is_written_for_each_order_and_once_for_the_same(
    lines: Lines, watch: Watch
) -> None:
    _configured(watch)

    for number in (1, 2, 2):
        get_logger().error("order_failed", order_id=f"o-{number}", reason="every attempt was used up")

    assert [line["order_id"] for line in lines()] == ["o-1", "o-2"]


@pytest.mark.parametrize("event", ["limits_set", "limits_cleared", "trading_halted", "trading_resumed"])
def test_what_a_person_did_is_always_written(lines: Lines, watch: Watch, event: str) -> None:
    _configured(watch)

    for account in ("acc-1", "acc-2", "acc-2"):
        get_logger().warning(event, account=account, by="mallory", reason="all is well")

    assert [line["account"] for line in lines()] == ["acc-1", "acc-2", "acc-2"]


def test_other_errors_of_tasks_are_other_lines_each_with_its_traceback(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    for error in (KeyError("one"), RuntimeError("another"), RuntimeError("another")):
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)

    assert [line["exception"].splitlines()[-1] for line in lines()] == ["KeyError: 'one'", "RuntimeError: another"]


def test_other_errors_of_a_library_are_other_lines(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    for error in ("refused by 127.0.0.1:6379", "refused by 127.0.0.1:6380", "timed out"):
        logging.getLogger("saq").error("Upkeep task failed unexpectedly", exc_info=ConnectionError(error))

    assert len(lines()) == 2


@pytest.mark.parametrize("name", ["uvicorn.error", "strawberry.execution", "asyncio"])
def test_a_librarys_warnings_about_clients_are_logged_once(lines: Lines, watch: Watch, name: str) -> None:
    _configured(watch)

    for stranger in ("one", "another"):
        logging.getLogger(name).warning("Invalid HTTP request received from %s.", stranger)

    assert len(lines()) == 1


def _raise(error: Exception) -> None:
    raise error


def _fail_unexpectedly(*errors: Exception) -> None:
    for number, error in enumerate(errors):
        with _answering(f"request-{number}"):
            try:
                _raise(error)
            except Exception as cause:  # noqa: BLE001 - what an operation may end with
                get_logger().error("unexpected_error", error_id=f"id-{number}", exc_info=cause)


@contextmanager
def _answering(request_id: str) -> Iterator[None]:
    before = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(before)


def test_each_error_id_that_a_client_received_is_found_and_one_traceback_of_its_kind(
    lines: Lines, watch: Watch
) -> None:
    _configured(watch)

    _fail_unexpectedly(KeyError("one"), KeyError("two"), RuntimeError("another"), KeyError("three"))

    said = lines()
    assert [line["error_id"] for line in said] == ["id-0", "id-1", "id-2", "id-3"]
    assert [line["request_id"] for line in said] == ["request-0", "request-1", "request-2", "request-3"]
    assert ["exception" in line for line in said] == [True, False, True, False]
    assert said[3]["error"] == "KeyError('three')"


def test_many_unexpected_errors_leave_room_for_other_kinds(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    _fail_unexpectedly(*(KeyError(str(number)) for number in range(2 * KINDS_MAX)))
    lines()
    _postpone(2, error="one")
    _postpone(2, error="another")

    assert [line["error"] for line in lines()] == ["one", "another"]


def test_facts_of_normal_life_are_all_written(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    for _ in range(3):
        get_logger().info("swept", placements=1)

    assert len(lines()) == 3


def test_at_debug_each_line_is_there(lines: Lines, watch: Watch) -> None:
    _configured(watch, level="DEBUG")

    _postpone(3)

    assert [line["level"] for line in lines()] == ["warning", "debug", "debug"]


def test_a_secret_is_masked_in_a_count_too(lines: Lines, watch: Watch) -> None:
    throttle = _configured(watch)
    _postpone(2, error=f"cannot connect with {SECRET}")

    watch.now = QUIET_SECONDS
    throttle.write_summaries()

    assert [line["error"] for line in lines()] == ["cannot connect with ***"] * 2


def test_the_memory_for_causes_is_bounded(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    for number in range(2 * KINDS_MAX):
        _postpone(1, error="reason " + "x" * number)

    assert len(lines()) == KINDS_MAX + 1


def test_no_error_that_needs_a_person_is_lost_among_many(lines: Lines, watch: Watch) -> None:
    _configured(watch)

    for number in range(2 * KINDS_MAX):
        get_logger().error("order_failed", order_id=f"o-{number}")

    assert len(lines()) == 2 * KINDS_MAX


def test_an_ending_process_logs_its_pending_counts(lines: Lines, watch: Watch) -> None:
    throttle = _configured(watch)
    _postpone(5)
    lines()

    throttle.write_summaries(is_last=True)

    assert [(line["event"], line["times"]) for line in lines()] == [("repeated", 5)]
