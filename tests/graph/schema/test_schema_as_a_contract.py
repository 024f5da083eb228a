"""The schema as a contract for front ends: every part of it is described, and no change breaks a release."""

from pathlib import Path

import pytest
from graphql import build_schema, introspection_from_schema, is_scalar_type, is_specified_scalar_type

from graph.schema.build import build_schema as build_own_schema
from graph.schema.description_texts import ANYWHERE, WORDS
from graph.schema.descriptions import parts
from graph.schema.export import schema_text
from graph.settings import GraphSettings
from tools.checks.schema_changes import find_problems, last_release

ROOT = Path(__file__).parents[3]
RELEASED = """
type Query { order(id: ID!): Result! }
union Result = Order
enum Status { OPEN DONE }
type Order { id: ID! status: Status! side: String }
input OrderFilter { status: Status }
"""


def test_every_type_field_argument_and_value_is_described() -> None:
    schema = build_schema(schema_text())

    assert [place for place, part, _ in parts(schema) if not part.description] == []


def test_the_schema_itself_is_described_in_its_text_and_by_introspection() -> None:
    printed = build_schema(schema_text())
    core = build_own_schema(GraphSettings())._schema  # noqa: SLF001 - Strawberry offers no other way to it

    assert printed.description
    assert introspection_from_schema(core)["__schema"]["description"] == printed.description


def test_each_scalar_names_the_specification_that_its_texts_follow() -> None:
    schema = build_schema(schema_text())
    scalars = [type_ for type_ in schema.type_map.values() if is_scalar_type(type_)]

    urls = {type_.name: type_.specified_by_url for type_ in scalars if not is_specified_scalar_type(type_)}

    assert urls == {
        "DateTime": "https://www.rfc-editor.org/rfc/rfc3339",
        "Decimal": "https://www.w3.org/TR/xmlschema11-2/#decimal",
        "ISIN": "https://www.iso.org/standard/78502.html",
    }


def test_no_description_is_of_what_is_not_there_or_has_words_of_its_own() -> None:
    shown = {place: part.description for place, part, _ in parts(build_schema(schema_text()))}

    assert [place for place, words in WORDS.items() if shown.get(place) != words] == []
    assert set(ANYWHERE.values()) <= set(shown.values())


def test_nothing_breaks_the_clients_of_the_last_release() -> None:
    assert list(find_problems(ROOT)) == []


def test_the_last_release_is_the_highest_version_not_the_last_name(tmp_path: Path) -> None:
    for version in ("0.2.0", "0.10.0", "0.9.1"):
        write(tmp_path, version=version, schema=RELEASED)

    assert str(last_release(tmp_path)[0]) == "0.10.0"


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("side: String }", "}", "Order.side was removed"),
        ("status: Status! side", "status: Status side", "Order.status changed type from Status! to Status"),
        ("OPEN DONE", "DONE", "Status.OPEN was removed"),
        ("order(id: ID!)", "order(id: ID!, account: ID!)", "account"),
        ("input OrderFilter { status: Status }", "input OrderFilter { status: Status! }", "OrderFilter.status"),
    ],
)
def test_a_breaking_change_is_reported_with_the_fix(tmp_path: Path, was: str, becomes: str, said: str) -> None:
    write(tmp_path, version="1.0.0", schema=RELEASED)
    assert was in RELEASED
    (tmp_path / "schema.graphql").write_text(RELEASED.replace(was, becomes))

    [problem] = find_problems(tmp_path)

    assert said in problem
    assert "@deprecated" in problem


def test_an_added_value_or_union_member_has_to_be_named_in_the_changelog(tmp_path: Path) -> None:
    write(tmp_path, version="1.0.0", schema=RELEASED)
    grown = (
        RELEASED.replace("OPEN DONE", "OPEN LATE DONE").replace("= Order", "= Order | Gone") + "type Gone { a: Int }"
    )
    (tmp_path / "schema.graphql").write_text(grown)

    assert len(list(find_problems(tmp_path))) == 2
    (tmp_path / "CHANGELOG.md").write_text("- `Status.LATE`, and `Gone` for what is no longer there.")
    assert list(find_problems(tmp_path)) == []


def test_additions_need_no_report(tmp_path: Path) -> None:
    write(tmp_path, version="1.0.0", schema=RELEASED)
    added = RELEASED.replace("side: String", "side: String price: Int").replace("{ status", "{ side: String status")
    (tmp_path / "schema.graphql").write_text(added)

    assert list(find_problems(tmp_path)) == []


def write(root: Path, *, version: str, schema: str) -> None:
    (root / "docs/releases").mkdir(parents=True, exist_ok=True)
    (root / f"docs/releases/schema-{version}.graphql").write_text(schema)
    (root / "CHANGELOG.md").write_text("")
