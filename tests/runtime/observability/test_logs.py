"""The logs: one event a line, with its fields, and never a secret."""

import json
import logging
import secrets
from collections.abc import Iterator
from contextvars import Context

import pytest
import structlog

from domain.ports.telemetry import REQUEST_ID
from runtime.observability.logs import configure_logs, get_logger

SECRET = "a-very-secret-password"


@pytest.fixture
def _restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored_logs")
def test_an_event_is_one_line_of_json_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="worker", log_format="json", level="INFO", secrets=(), gather_seconds=10)

    get_logger().warning("placement_postponed", order_id="o-1", attempt=2, delay_seconds=0.7)

    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "placement_postponed"
    assert (line["order_id"], line["attempt"], line["delay_seconds"]) == ("o-1", 2, 0.7)
    assert (line["level"], line["process"]) == ("warning", "worker")
    assert line["timestamp"].endswith("Z")


@pytest.mark.usefixtures("_restored_logs")
def test_a_line_of_a_request_has_its_id_whoever_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="api", log_format="json", level="INFO", secrets=(), gather_seconds=10)

    def answer() -> None:
        REQUEST_ID.set("mine")
        get_logger().error("unexpected_error", error_id="7f")
        logging.getLogger("some.library").warning("slow")

    Context().run(answer)
    get_logger().info("started")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("request_id") for line in lines] == ["mine", "mine", None]


@pytest.mark.usefixtures("_restored_logs")
@pytest.mark.parametrize("log_format", ["json", "plain"])
def test_a_secret_is_masked_everywhere(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logs(process="api", log_format=log_format, level="INFO", secrets=(SECRET,), gather_seconds=10)

    get_logger().error("database_lost", error=f"cannot connect to postgresql://user:{SECRET}@host")
    logging.getLogger("some.library").warning("password is %s", SECRET)

    output = capsys.readouterr().out
    assert SECRET not in output
    assert output.count("***") == 2


@pytest.mark.usefixtures("_restored_logs")
def test_a_library_that_repeats_itself_while_redis_is_down_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="worker", log_format="json", level="INFO", secrets=(), gather_seconds=10)
    library = logging.getLogger("saq")

    for _ in range(100):
        library.error("Upkeep task failed unexpectedly", exc_info=ConnectionError("refused"))

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert "refused" in lines[0]
    assert "Traceback" not in lines[0]


@pytest.mark.usefixtures("_restored_logs")
def test_a_traceback_shows_where_it_happened_and_no_local_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="api", log_format="plain", level="INFO", secrets=(), gather_seconds=10)

    token = secrets.token_hex(8)
    try:
        _refuse(token)
    except ValueError:
        get_logger().exception("unexpected_error")

    output = capsys.readouterr().out
    assert "ValueError: it broke" in output
    assert "_refuse" in output
    assert token not in output


def _refuse(_token: str) -> None:
    raise ValueError("it broke")
