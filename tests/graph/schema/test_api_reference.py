"""docs/api.md is complete: every code, status and limit that a front end can receive is in its tables, as in the
code.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from http import HTTPStatus

import pytest
from graphql import build_schema, is_scalar_type, is_specified_scalar_type, parse, validate

from domain.model.errors import IssueCode
from domain.model.limits import LimitCode
from graph.errors import ErrorCode
from graph.schema.export import schema_text
from graph.websocket.close_codes import CloseCode
from runtime.settings import Settings
from tests.support.processes import ROOT

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
CODE = re.compile(r"[A-Z][A-Z_]+")
CLOSE_CODES = (range(1_000, 1_016), range(4_400, 4_600))
HTTP_FOLDERS = ("runtime/server", "graph")
SOCKET_FILES = ("runtime/server/websocket_protocol.py",)
CONNECTION_FILES = ("runtime/server/http_protocol.py", "runtime/server/websocket_protocol.py")
LIMITS = (
    "document_max_",
    "document_cost_",
    "documents_new_",
    "http_",
    "operation_timeout_",
    "orders_per_second_",
    "persisted_max_",
    "request_",
    "requests_",
    "socket_",
    "sockets_",
    "subscriptions_",
    "subscriber_",
)
"""How the names of the settings begin that limit what a client may do."""


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under the heading, without the table's own head."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line.strip().strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def documented(heading: str) -> list[str]:
    """Return the words in code marks of the first column."""
    return [word for row in rows(heading) for word in re.findall(r"`([^`]+)`", row[0])]


def sources(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        yield from (ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py")))


def constants(module: ast.Module) -> dict[str, object]:
    """Return the names of a module's plain values."""
    return {
        target.id: node.value.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def given_codes(module: ast.Module) -> Iterator[str]:
    """Return the values of `code=`: a text, or the name of one."""
    named = constants(module)
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg == "code":
            value = (
                node.value.value if isinstance(node.value, ast.Constant) else named.get(getattr(node.value, "id", ""))
            )
            # The venue's reasons have their own codes: the page has their prefix.
            if isinstance(value, str) and CODE.fullmatch(value) and not value.startswith("VENUE_"):
                yield value


def values(*enums: type[StrEnum]) -> set[str]:
    return {value for enum in enums for value in enum}


def test_every_code_of_a_failure_or_a_reason_has_a_row_and_every_row_a_code() -> None:
    in_the_code = {code for module in sources("graph", "domain") for code in given_codes(module)}
    listed = [
        code for heading in ("Failures of a mutation", "Errors at the top", "Reasons") for code in documented(heading)
    ]

    assert set(listed) == in_the_code | values(ErrorCode, IssueCode, LimitCode)


@pytest.mark.parametrize("heading", ["Failures of a mutation", "Errors at the top", "Reasons"])
def test_nothing_is_listed_twice(heading: str) -> None:
    listed = documented(heading)

    assert sorted(set(listed)) == sorted(listed)


def test_every_error_at_the_top_has_a_row_of_its_own() -> None:
    assert set(documented("Errors at the top")) == values(ErrorCode)


def test_every_code_of_a_close_frame_has_a_row() -> None:
    named = {
        value
        for path in SOCKET_FILES
        for value in constants(ast.parse((ROOT / path).read_text(encoding="utf-8"))).values()
        if isinstance(value, int) and any(value in codes for codes in CLOSE_CODES)
    }
    ours = {code.value for code in CloseCode}
    # A wrong frame; a wrong text; too large a message; a failure of a proxy's; a message of the wrong shape; another
    # subprotocol.
    libraries = {1002, 1007, 1009, 1011, 4400, 4406}

    assert {int(code) for code in documented("Close codes of the websocket")} == named | ours | libraries


def test_every_status_of_http_has_a_row() -> None:
    below = [(ROOT / path).read_text(encoding="utf-8") for path in CONNECTION_FILES]
    written_out = {int(status) for text in below for status in re.findall(r"HTTP/1\.1 (\d{3}) ", text)}

    # The answer to a websocket's handshake is no answer to a request.
    used = written_out | set(statuses(sources(*HTTP_FOLDERS))) - {HTTPStatus.SWITCHING_PROTOCOLS}
    assert {int(status) for status in documented("Statuses of HTTP")} == used


def statuses(modules: Iterable[ast.Module]) -> Iterator[int]:
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "HTTPStatus":
                yield HTTPStatus[node.attr]
            if isinstance(node, ast.keyword) and node.arg == "status_code" and isinstance(node.value, ast.Constant):
                yield int(str(node.value.value))


def test_every_limit_has_a_row_with_its_setting_and_its_default() -> None:
    written = {row[1].strip("`"): row[2] for row in rows("Limits")}
    limits = [name for name in Settings.model_fields if name.startswith(LIMITS)]

    assert {name: default for name, default in written.items() if name.lower() in limits} == {
        name.upper(): str(Settings.model_fields[name].default).removesuffix(".0") for name in limits
    }
    assert [name for name in written if name.lower() not in Settings.model_fields] == []


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_every_operation_that_is_shown_fits_the_schema(page: str) -> None:
    shown = re.findall(r"```graphql\n(.+?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    schema = build_schema(schema_text())

    assert shown
    assert [error.message for text in shown for error in validate(schema, parse(text))] == []


def test_the_configuration_of_generated_types_names_every_scalar_as_a_text() -> None:
    (written,) = re.findall(r"scalars: \{ (.+?) \}", PAGE)
    types = build_schema(schema_text()).type_map.values()

    scalars = {one.name for one in types if is_scalar_type(one) and not is_specified_scalar_type(one)}

    assert dict(pair.split(": ") for pair in written.split(", ")) == dict.fromkeys(scalars, '"string"')
