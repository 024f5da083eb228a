"""Our schema keeps the contract: everything in it is here with the same types, nullability, arguments and promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    build_schema,
    find_breaking_changes,
    is_specified_scalar_type,
)

from graph.schema.export import find_drift, main, schema_text

CONTRACT = Path(__file__).with_name("contract.graphql")
ROOT_SCHEMA = Path(__file__).parents[3] / "schema.graphql"


def promises(schema: GraphQLSchema) -> Iterator[tuple[str, object]]:
    """Return every fact that a client can rely on, under a name with its path."""
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(type_):
            continue
        yield f"{name} is a", type(type_).__name__
        yield from described(name, type_.description)
        yield from members(name, type_)


def members(name: str, type_: GraphQLNamedType) -> Iterator[tuple[str, object]]:
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        yield from ((f"{name} implements {interface.name}", True) for interface in type_.interfaces)
        for field_name, field in type_.fields.items():
            yield f"{name}.{field_name}", str(field.type)
            yield from described(f"{name}.{field_name}", field.description)
            for argument_name, argument in field.args.items():
                place = f"{name}.{field_name}({argument_name}:)"
                yield place, (str(argument.type), default(argument.default))
    if isinstance(type_, GraphQLInputObjectType):
        for field_name, given in type_.fields.items():
            yield f"{name}.{field_name}", (str(given.type), default(given.default))
            yield from described(f"{name}.{field_name}", given.description)
    if isinstance(type_, GraphQLUnionType):
        yield from ((f"{name} has {member.name}", True) for member in type_.types)
    if isinstance(type_, GraphQLEnumType):
        for value_name, value in type_.values.items():
            yield f"{name}.{value_name}", True
            yield from described(f"{name}.{value_name}", value.description)


def described(place: str, description: str | None) -> Iterator[tuple[str, object]]:
    """Return a description's words; its line breaks are not part of the contract."""
    if description:
        yield f"{place} says", " ".join(description.split())


def default(given: object) -> object:
    value = getattr(given, "value", Undefined)
    literal = getattr(given, "literal", None)
    return getattr(literal, "value", value if value is not Undefined else None)


def test_everything_in_the_contract_is_in_our_schema() -> None:
    contract = dict(promises(build_schema(CONTRACT.read_text(encoding="utf-8"))))
    ours = dict(promises(build_schema(schema_text())))

    missing = {place: (promise, ours.get(place)) for place, promise in contract.items() if ours.get(place) != promise}

    assert len(contract) > 250
    assert missing == {}


def test_additions_to_the_contract_break_no_client() -> None:
    contract = build_schema(CONTRACT.read_text(encoding="utf-8"))

    assert find_breaking_changes(contract, build_schema(schema_text())) == []


def test_the_committed_schema_is_the_one_in_the_code() -> None:
    assert find_drift(ROOT_SCHEMA) == ""


def test_a_schema_that_drifted_is_shown_as_a_diff_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schema.graphql").write_text(schema_text().replace("tradable: Boolean!", "tradable: Boolean"))
    monkeypatch.chdir(tmp_path)

    assert main(["--check"]) == 1

    assert "+  tradable: Boolean!" in capsys.readouterr().err
