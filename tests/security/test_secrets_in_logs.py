"""Secrets that reach a log line by an error, a library or a crash are masked there."""

import json
import logging
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.observability.logs import get_logger, log_uncaught_errors
from runtime.settings import Settings
from tests.support.logs import raise_error, written_logs
from tests.support.processes import running
from tools.devstack.ports import free_port

PASSWORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1, max_size=16).map(
    lambda text: f"{text}9Zq7"
)


class _UnprintableError(Exception):
    """Fails in its repr."""

    def __str__(self) -> str:
        raise RuntimeError("hidden")


@pytest.mark.parametrize("log_format", ["plain", "json"])
@given(password=PASSWORDS)
@settings(max_examples=40)
def test_no_form_of_a_password_is_in_any_line(log_format: str, password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@host/name"
    forms = {password, quote(password, safe=""), repr(password)[1:-1], json.dumps(password)[1:-1]}
    forms |= {repr(password.encode())[2:-1], repr(repr(password))[2:-2], json.dumps(json.dumps(password))[3:-3]}

    with written_logs(log_format, secrets=Settings(database_url=url).secrets()) as written:
        try:
            raise_error(ConnectionError(f"login of {password} refused: {url}"))
        except ConnectionError as error:
            get_logger().error("database_lost", error=repr(error), url=url, nested={"error": [error]}, exc_info=error)
            logging.getLogger("asyncpg").exception("cannot log in with %r (%s)", password, password.encode())

    assert "9Zq7" not in written.getvalue()
    assert not [form for form in forms if form in written.getvalue()]
    assert written.getvalue().count("***") >= 6


@pytest.mark.parametrize("log_format", ["plain", "json"])
def test_a_line_that_cannot_be_written_is_logged_without_its_arguments(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with written_logs(log_format) as written:
        logging.getLogger("some.library").error("%s said hidden", _UnprintableError())

    assert "log_line_lost" in written.getvalue()
    assert "RuntimeError" in written.getvalue()
    assert "hidden" not in written.getvalue() + capsys.readouterr().err


def test_an_error_that_is_not_caught_is_logged_with_its_secrets_masked(capsys: pytest.CaptureFixture[str]) -> None:
    with written_logs("json", secrets=["hidden"]) as written:
        log_uncaught_errors()
        error = ConnectionError("postgresql://user:hidden@host")
        sys.excepthook(type(error), error, None)

    line = json.loads(written.getvalue())
    assert (line["event"], line["level"]) == ("crashed", "critical")
    assert "postgresql://user:***@host" in line["exception"]
    assert capsys.readouterr().err == ""


async def test_a_decoded_password_of_a_real_process_is_not_in_its_output(tmp_path: Path) -> None:
    path = tmp_path / "database-url"
    path.write_text(f"postgresql://user:p%40ss%5C%22w%C3%B6rd@127.0.0.1:{free_port()}/orders")

    async with running(["-m", "runtime", "migrate"], environment={"DATABASE_URL_FILE": str(path)}) as process:
        await process.ends(within_seconds=20)

    output = "\n".join(process.output)
    assert process.exit_code == 1
    assert "p@ss" not in output
    assert "p%40ss" not in output
    assert "rd@127" not in output
