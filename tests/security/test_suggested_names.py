"""Without introspection the schema is not disclosed name by name either: no error suggests a name.

Every name of the schema is misspelt in every place where a document or a variable may contain it. An error names a
missing required argument or input field: clients need that.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from graph.schema.build import build_schema
from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api
from tests.support.api_world import World

SCHEMA: GraphQLSchema = build_schema(GraphSettings())._schema  # noqa: SLF001 - graphql-core's own
REQUIRED = "is required, but it was not provided"
"""Names an argument of a field that was asked for, which is no suggestion for another name."""
SUGGESTS = "did you mean"
PER_DOCUMENT = 20
Item = TypeVar("Item")
LENIENT = GraphSettings(max_errors=200, max_aliases=100, max_repeats=100)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A request with misspelt names; `meant` are the correct ones, which it does not contain."""

    document: str
    meant: frozenset[str]
    variables: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module", params=[True, False], ids=["compiled", "by Strawberry"])
async def production(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    async with running_api(World(settings=replace(LENIENT, compiled_operations=request.param))) as api:
        yield api


async def test_no_error_in_a_document_suggests_a_name(production: Api) -> None:
    for mistake in (*mistakes_in_fields(), *mistakes_in_types(), *mistakes_in_values()):
        await refuse_without_suggestion(production, mistake)


async def test_no_error_in_a_variable_suggests_a_name(production: Api) -> None:
    for mistake in mistakes_in_variables():
        await refuse_without_suggestion(production, mistake)


@pytest.mark.parametrize("is_in_variable", [True, False])
async def test_no_error_over_a_websocket_suggests_a_name(production: Api, is_in_variable: bool) -> None:
    mistakes = [*mistakes_in_variables()] if is_in_variable else [*mistakes_in_fields()]
    async with production.conversation() as socket:
        for number, mistake in enumerate(mistakes):
            await socket.subscribe(mistake.document, mistake.variables, key=str(number))
            message = await socket.receive()
            assert message["type"] in {"error", "next"}
            assert SUGGESTS not in str(message).lower()
            if message["type"] == "next":
                assert (await socket.receive())["type"] == "complete"


@pytest.mark.parametrize(
    "document", ["{ viewer { accountIds } }", "{ viewer }", "{ viewer @includ(if: true) { accountId } }", "{ vewer }"]
)
async def test_the_error_itself_is_still_reported(production: Api, document: str) -> None:
    error = await production.error(document)

    assert re.search(r"'?@?(accountIds|viewer|includ|vewer)'?", error["message"])
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_in_development_names_are_suggested() -> None:
    kinds = (mistakes_in_fields, mistakes_in_types, mistakes_in_values, mistakes_in_variables)
    async with running_api(World(settings=replace(LENIENT, is_development=True))) as api:
        for mistakes in kinds:
            answers = [await api.answer(mistake.document, mistake.variables) for mistake in islice(mistakes(), 2)]
            assert SUGGESTS in str(answers).lower(), mistakes


async def refuse_without_suggestion(api: Api, mistake: Mistake) -> None:
    errors = (await api.answer(mistake.document, mistake.variables))["errors"]
    reported = " ".join(error["message"] for error in errors)
    sent = words(f"{mistake.document} {mistake.variables}")
    assert SUGGESTS not in reported.lower(), mistake
    wrong = " ".join(error["message"] for error in errors if REQUIRED not in error["message"])
    quoted = words(" ".join(re.findall(r"'([^']*)'", wrong)))  # Some words of a message are names, too: "type".
    assert not (mistake.meant - sent) & quoted, reported


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Return the items in lists of that size."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def misspelt(name: str) -> tuple[str, str]:
    """Two near misses; neither is another name of the schema."""
    return f"{name}x", f"{name[:-1]}{'xq'[name.endswith('x')]}"


def mistakes_in_fields() -> Iterator[Mistake]:
    """Fields, their arguments, and selections that are missing, on every type."""
    for named in SCHEMA.type_map.values():
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType) and not named.name.startswith("__"):
            for asked in batched(_wrong_fields(named), PER_DOCUMENT):
                fields = " ".join(f"a{number}: {field}" for number, (field, _) in enumerate(asked))
                meant = frozenset(name for _, name in asked if name)
                yield Mistake(f"{{ __typename ...F }} fragment F on {named.name} {{ {fields} }}", meant)


def _wrong_fields(named: GraphQLObjectType | GraphQLInterfaceType) -> Iterator[tuple[str, str | None]]:
    """Return selections with an error, and the correct name, if it must not be disclosed."""
    for name, one in named.fields.items():
        inside = "" if is_leaf_type(get_named_type(one.type)) else "{ __typename }"
        yield from ((f"{wrong} {inside}", name) for wrong in misspelt(name))
        if inside:
            yield name, None
        for argument, taken in one.args.items():
            meant = None if is_required_argument(taken) else argument
            yield from ((f"{name}({wrong}: 1) {inside}", meant) for wrong in misspelt(argument))


def mistakes_in_types() -> Iterator[Mistake]:
    """Types and directives, with the directives' arguments."""
    for names in batched(SCHEMA.type_map, PER_DOCUMENT):
        wrong = [one for name in names for one in misspelt(name)]
        fragments = " ".join(f"... on {one} {{ __typename }}" for one in wrong)
        declared = ", ".join(f"$v{number}: {one}" for number, one in enumerate(wrong))
        yield Mistake(f"query ({declared}) {{ {fragments} }}", frozenset(names))
    for directive in SCHEMA.directives:
        for wrong_name in misspelt(directive.name):
            yield Mistake(f"{{ __typename @{wrong_name} }}", frozenset({directive.name}))
        for argument, taken in directive.args.items():
            meant = frozenset[str]() if is_required_argument(taken) else frozenset({argument})
            for wrong_name in misspelt(argument):
                yield Mistake(f"{{ __typename @{directive.name}({wrong_name}: 1) }}", meant)


def mistakes_in_values() -> Iterator[Mistake]:
    """Values of enums, and fields of input objects, as literals."""
    for named in SCHEMA.type_map.values():
        literals: list[str] = []
        meant: set[str] = set()
        if isinstance(named, GraphQLEnumType) and not named.name.startswith("__"):
            meant = set(named.values)
            literals = [one for name in meant for one in (*misspelt(name), name.lower(), f'"{name}x"')]
        elif isinstance(named, GraphQLInputObjectType):
            meant = {name for name, one in named.fields.items() if not is_required_input_field(one)}
            literals = [f"{{{one}: 1}}" for name in named.fields for one in misspelt(name)]
        for wrong in batched(literals, PER_DOCUMENT):
            declared = ", ".join(f"$v{number}: {named.name} = {literal}" for number, literal in enumerate(wrong))
            yield Mistake(f"query ({declared}) {{ __typename }}", frozenset(meant))


def mistakes_in_variables() -> Iterator[Mistake]:
    """Generate values of enums, and fields of input objects, in the variables of each operation that has some."""
    roots = {"query": SCHEMA.query_type, "mutation": SCHEMA.mutation_type, "subscription": SCHEMA.subscription_type}
    for operation, root in roots.items():
        assert root is not None
        for name, one in root.fields.items():
            meant: set[str] = set()
            variables = {argument: wrong_value(taken.type, meant) for argument, taken in one.args.items()}
            declared = ", ".join(f"${argument}: {taken.type}" for argument, taken in one.args.items())
            given = ", ".join(f"{argument}: ${argument}" for argument in one.args)
            inside = "" if is_leaf_type(get_named_type(one.type)) else "{ __typename }"
            if meant:
                document = f"{operation} ({declared}) {{ {name}({given}) {inside} }}"
                yield Mistake(document, frozenset(meant), variables)


def wrong_value(wanted: GraphQLInputType, meant: set[str]) -> object:
    """Return a value of the type in which every name is misspelt; adds the correct names to `meant`."""
    named = get_named_type(wanted)
    if isinstance(named, GraphQLEnumType):
        name = next(iter(named.values))
        meant.add(name)
        return misspelt(name)[0]
    if isinstance(named, GraphQLInputObjectType):
        meant |= {name for name, one in named.fields.items() if not is_required_input_field(one)}
        wrong = {misspelt(name)[0]: 1 for name in named.fields}
        nested = {name: wrong_value(one.type, meant) for name, one in named.fields.items() if has_names(one.type)}
        return {**wrong, **nested}
    return "x"


def has_names(wanted: GraphQLInputType) -> bool:
    return isinstance(get_named_type(wanted), GraphQLEnumType | GraphQLInputObjectType)
