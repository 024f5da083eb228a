"""Documents: what they may select, and that each is parsed once."""

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, Lexer, Source, TokenKind, get_introspection_query, parse
from hypothesis import assume, example, given
from hypothesis import strategies as st

from graph.documents.cache import DocumentCache, DocumentRefusedError
from graph.documents.measure import is_nested_beyond, measure
from graph.schema.build import build_schema
from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api
from tests.support.api_world import World

SETTINGS = GraphSettings(document_cache_max_documents=3, document_cache_max_characters=200)
SCHEMA = build_schema(SETTINGS)._schema  # noqa: SLF001 - Strawberry offers no other way to graphql-core's schema

OPENING = (TokenKind.BRACE_L, TokenKind.BRACKET_L)
CLOSING = (TokenKind.BRACE_R, TokenKind.BRACKET_R)
NESTED = "{ orders { edges { node { " + "instrument { id } " * 1 + "} } } }"


def aliases(count: int) -> str:
    return "{ " + " ".join(f"a{number}: __typename" for number in range(count)) + " }"


def fragments(length: int) -> str:
    """Return a chain of fragments that doubles with each link."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} a{n}: __typename ...f{n + 1} }}" for n in range(length)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{length} on Query {{ __typename }}"])


def chain(length: int) -> str:
    """Return a chain of empty fragments."""
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
    measured = measure(parse(document), max_nesting=50)

    assert (measured.depth, measured.aliases) == (depth, count)


def test_a_chain_of_fragments_is_measured_by_its_length_not_its_expansion() -> None:
    assert measure(parse(fragments(50)), max_nesting=60).aliases == 2**50 - 1


@pytest.mark.parametrize(
    ("document", "found", "limit"),
    [
        (aliases(16), "16 aliases", 15),
        (fragments(10), "1023 aliases", 15),
        (chain(60), "more than 50 selections or values in one another", 50),
        ("{ ... " * 51 + "{ __typename }" + " }" * 51, "more than 50 selections or values in one another", 50),
        (
            "{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }",
            "more than 50 selections or values in one another",
            50,
        ),
        ("{ " + "viewer { accountId } " * 52 + "}", "51 repeated fields", 50),
        ("{ viewer " + "@include(if: true) " * 51 + "{ accountId } }", "51 directives", 50),
        ("{ a " * 11 + "}" * 11, "11 levels of fields", 10),
        ("{ " + "a " * 2_001 + "}", "more than 2000 tokens", 2_000),
        ("#" * 15_001, "15001 characters", 15_000),
        ("mutation { " + " ".join(f"o{n}: placeOrder" for n in range(11)) + " }", "11 times placeOrder", 10),
    ],
)
async def test_a_document_above_a_limit_is_refused_with_the_limit(
    api: Api, document: str, found: str, limit: int
) -> None:
    for _ in range(2):
        error = await api.error(document)

        assert error["message"] == f"The document has {found}; {limit} are allowed."
        assert error["extensions"] == {"code": "DOCUMENT_TOO_LARGE", "limit": limit}


BITS = ("{", "}", "[", "]", "(", ")", "a", " ", "\n", '"', '"""', "\\", '\\"', '\\"""', "#", '"{"', "# {\n", ":", "1")


@given(text=st.lists(st.sampled_from(BITS), max_size=60).map("".join), max_nesting=st.integers(0, 6))
@example(text='"""a\\"""{"""{{', max_nesting=1)
@example(text='"\\"{{" {{', max_nesting=1)
def test_brackets_are_counted_where_the_parser_sees_them(text: str, max_nesting: int) -> None:
    lexer, depth, deepest = Lexer(Source(text)), 0, 0
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            depth += (token.kind in OPENING) - (token.kind in CLOSING)
            deepest = max(deepest, depth)
    except GraphQLSyntaxError:
        # Text after the error is not disclosed; before it, as above.
        assume(deepest > max_nesting)

    assert is_nested_beyond(max_nesting, text) is (deepest > max_nesting)


async def test_fields_that_take_too_many_comparisons_are_refused(api: Api) -> None:
    fields = " ".join(f'... on Query {{ viewer {{ accountId }} order(id: "{n}") {{ id }} }}' for n in range(180))

    error = (await api.answer("{ " + fields + " }"))["errors"][0]

    assert error["extensions"]["code"] in {"DOCUMENT_TOO_LARGE", "GRAPHQL_VALIDATION_FAILED"}


@pytest.mark.parametrize("document", [aliases(15), fragments(3)])
async def test_a_document_within_the_limits_is_run(api: Api, document: str) -> None:
    await api.data(document)


async def test_introspection_as_graphiql_does_it_is_within_the_limits_in_development() -> None:
    async with running_api(World(settings=GraphSettings(is_development=True))) as api:
        data = await api.data(get_introspection_query(input_value_deprecation=True))

    assert len(data["__schema"]["types"]) > 40


@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Order") { name } }'])
async def test_in_production_there_is_no_introspection(api: Api, document: str) -> None:
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


def test_a_document_longer_than_the_whole_cache_is_read_and_not_cached() -> None:
    cache = DocumentCache(SETTINGS)

    cache.read("{ __typename }" + " " * 300, SCHEMA)

    assert len(cache) == 0


async def test_of_many_mistakes_the_first_ten_are_returned_and_the_rest_is_not_looked_for(api: Api) -> None:
    answer = await api.answer("{ " + " ".join(f"nothing{number}" for number in range(40)) + " }")

    messages = [error["message"] for error in answer["errors"]]
    assert messages[0] == "Cannot query field 'nothing0' on type 'Query'."
    assert messages[-1].startswith("Too many validation errors")
    assert len(messages) == 11


def test_a_refused_document_is_read_once_and_drops_no_good_one() -> None:
    cache = DocumentCache(SETTINGS)
    good = cache.read("{ __typename }", SCHEMA)

    for number in range(10):
        read, kept, kept_still = (refusal(cache, f"{{ nothing{number} }}") for _ in range(3))
        assert kept[0] is kept_still[0]
        assert kept[0].formatted == read[0].formatted

    assert len(cache) == 1
    assert cache.read("{ __typename }", SCHEMA) is good


def refusal(cache: DocumentCache, text: str) -> list[GraphQLError]:
    with pytest.raises(DocumentRefusedError) as refused:
        cache.read(text, SCHEMA)
    return refused.value.errors
