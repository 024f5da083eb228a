"""Documents: what they may ask for, and that each is read once."""

import pytest
from graphql import get_introspection_query, parse

from graph.document_limits import measure
from graph.documents import DocumentCache, UnusableDocument
from graph.schema import build_schema
from graph.settings import GraphSettings
from tests.graph.server import Api, running_api
from tests.graph.world import World

SETTINGS = GraphSettings(document_cache_max_documents=3, document_cache_max_characters=200)
SCHEMA = build_schema(SETTINGS)._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema

NESTED = "{ orders { edges { node { " + "instrument { id } " * 1 + "} } } }"


def aliases(count: int) -> str:
    return "{ " + " ".join(f"a{number}: __typename" for number in range(count)) + " }"


def fragments(length: int) -> str:
    """A chain of fragments that doubles with each link."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} a{n}: __typename ...f{n + 1} }}" for n in range(length)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{length} on Query {{ __typename }}"])


def chain(length: int) -> str:
    """A chain of fragments with nothing in it."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(length)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{length} on Query {{ __typename }}"])


@pytest.mark.parametrize(
    ("document", "depth", "count"),
    [
        ("{ __typename }", 0, 0),
        ("{ viewer { accountId } }", 2, 0),
        (NESTED, 5, 0),
        ("{ ...a } fragment a on Query { viewer { x: accountId } }", 2, 1),
        ("query { ... on Query { viewer { accountId } } } query B { y: viewer { accountId } }", 2, 1),
        ("{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }", 0, 0),
        ("{ ...a } fragment a on Query { ...a x: __typename }", 0, 1),
    ],
)
def test_depth_and_aliases_are_counted_as_they_are_run(document: str, depth: int, count: int) -> None:
    measured = measure(parse(document))

    assert (measured.depth, measured.aliases) == (depth, count)


def test_a_chain_of_fragments_is_measured_in_its_length_not_in_what_it_stands_for() -> None:
    assert measure(parse(fragments(50))).aliases == 2**50 - 1


@pytest.mark.parametrize(
    "document",
    [
        aliases(16),
        fragments(10),
        chain(200),
        "{ " + "viewer { accountId } " * 52 + "}",
        "{ viewer " + "@include(if: true) " * 51 + "{ accountId } }",
        "{ orders { nodes { " * 6 + "id" + " } } }" * 6,
        "{ " + "__typename " * 2_001 + "}",
        "#" * 15_001 + "\n{ __typename }",
    ],
)
async def test_a_document_that_asks_for_too_much_is_refused(api: Api, document: str) -> None:
    error = (await api.answer(document))["errors"][0]

    assert error["extensions"]["code"] in {"DOCUMENT_TOO_LARGE", "GRAPHQL_PARSE_FAILED"}


@pytest.mark.parametrize("document", [aliases(15), fragments(3)])
async def test_a_document_within_the_limits_is_run(api: Api, document: str) -> None:
    await api.data(document)


async def test_introspection_as_graphiql_does_it_is_within_the_limits_in_development() -> None:
    async with running_api(World(settings=GraphSettings(is_development=True))) as api:
        data = await api.data(get_introspection_query(input_value_deprecation=True))

    assert len(data["__schema"]["types"]) > 40


@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Order") { name } }'])
async def test_in_production_the_schema_is_not_told_to_whoever_asks(api: Api, document: str) -> None:
    error = (await api.answer(document))["errors"][0]

    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_a_document_is_read_once() -> None:
    cache = DocumentCache(SETTINGS)

    assert cache.read("{ __typename }", SCHEMA) is cache.read("{ __typename }", SCHEMA)


def test_documents_are_dropped_by_number_and_by_length_the_oldest_first() -> None:
    cache = DocumentCache(SETTINGS)
    first = cache.read("{ a: __typename }", SCHEMA)
    for name in ("b", "c"):
        cache.read(f"{{ {name}: __typename }}", SCHEMA)
    assert cache.read("{ a: __typename }", SCHEMA) is first

    cache.read("{ d: __typename }", SCHEMA)
    assert len(cache) == 3
    assert cache.read("{ a: __typename }", SCHEMA) is first

    cache.read("{ e: __typename }" + " " * 180, SCHEMA)
    assert len(cache) == 1


def test_a_document_longer_than_the_whole_cache_is_read_and_not_kept() -> None:
    cache = DocumentCache(SETTINGS)

    cache.read("{ __typename }" + " " * 300, SCHEMA)

    assert len(cache) == 0


def test_a_bad_document_is_not_kept() -> None:
    cache = DocumentCache(SETTINGS)

    with pytest.raises(UnusableDocument):
        cache.read("{ nothing }", SCHEMA)

    assert len(cache) == 0
