"""The thirteen checks of graphql-cop (an auditor of GraphQL servers), each answered as required, in production."""

import pytest

from tests.support.audited_api import AuditedApi, Json
from tests.support.system import token

TYPENAME = "query cop { __typename }"
IDE_PATHS = ("/", "/graphiql", "/playground", "/console", "/graphql")


async def refusal(api: AuditedApi, document: str) -> Json:
    """Return the only error of a document that is refused entirely."""
    status, answer = await api.post({"query": document}, accept="application/graphql-response+json")
    assert status == 400
    assert "data" not in answer
    (error,) = answer["errors"]
    assert isinstance(error, dict)
    return error


async def test_alias_overloading_is_refused(production: AuditedApi) -> None:
    error = await refusal(production, "query cop { " + " ".join(f"a{n}: __typename" for n in range(101)) + " }")

    assert error["message"] == "The document has 101 aliases; 30 are allowed."
    assert error["extensions"] == {"code": "DOCUMENT_TOO_LARGE", "limit": 30}


async def test_batches_are_refused(production: AuditedApi) -> None:
    status, answer = await production.post([{"query": TYPENAME}] * 10)

    assert status == 400
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_directive_overloading_is_answered_by_one_error(production: AuditedApi) -> None:
    error = await refusal(production, "query cop { __typename " + "@aa" * 60 + " }")

    assert error["message"] == "The document has 60 directives; 50 are allowed."


async def test_circular_introspection_is_refused(production: AuditedApi) -> None:
    circle = "fields { type { " * 8 + "name" + " } }" * 8

    error = (await production.post({"query": f"query cop {{ __schema {{ types {{ {circle} }} }} }}"}))[1]["errors"][0]

    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_introspection_is_refused(production: AuditedApi) -> None:
    _, answer = await production.post({"query": "query cop { __schema { types { name fields { name } } } }"})

    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_mutation_is_not_run_by_get(production: AuditedApi) -> None:
    status, answer = await production.get({"query": "mutation cop { __typename }"})

    assert status == 405
    assert answer["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_a_query_by_get_is_answered_to_a_header_that_no_foreign_page_can_send(production: AuditedApi) -> None:
    cookie = {"cookie": f"token={token('demo')}", "authorization": ""}

    assert await production.get({"query": TYPENAME}) == (200, {"data": {"__typename": "Query"}})
    assert (await production.get({"query": TYPENAME}, **cookie))[0] == 401


async def test_a_form_that_a_foreign_page_could_send_is_refused(production: AuditedApi) -> None:
    status, _ = await production.post(b"query=query+cop+{__typename}", content_type="application/x-www-form-urlencoded")

    assert status == 415


@pytest.mark.parametrize("document", ["query cop { __schema { directive } }", 'query cop { order(id: "x") { statu } }'])
async def test_no_field_is_suggested(production: AuditedApi, document: str) -> None:
    _, answer = await production.post({"query": document})

    assert "did you mean" not in str(answer).lower()


async def test_field_duplication_is_refused(production: AuditedApi) -> None:
    error = await refusal(production, "query cop { " + "__typename " * 500 + "}")

    assert error["message"] == "The document has 499 repeated fields; 50 are allowed."


@pytest.mark.parametrize("path", IDE_PATHS)
async def test_there_is_no_ide(production: AuditedApi, path: str) -> None:
    url = production.url.removesuffix("/graphql") + path
    headers = {"accept": "text/html", "authorization": f"Bearer {token('demo')}"}
    async with production.session.get(url, headers=headers) as response:
        assert response.status in {404, 406}
        assert "graphiql" not in (await response.text()).lower()


async def test_nothing_is_traced(production: AuditedApi) -> None:
    assert await production.post({"query": TYPENAME}) == (200, {"data": {"__typename": "Query"}})


async def test_a_mistake_shows_nothing_of_the_program(production: AuditedApi) -> None:
    error = await refusal(production, "qwerty cop { abc }")

    assert set(error) == {"message", "locations", "extensions"}
    assert error["extensions"] == {"code": "GRAPHQL_PARSE_FAILED"}
