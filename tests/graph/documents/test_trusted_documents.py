"""Documents by name: registered by their hash, or only those of a manifest."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.documents.trusted import InvalidManifestError, read_manifest
from graph.schema.build import build_schema
from graph.settings import DocumentPolicy, GraphSettings, TrustedDocument
from tests.support.api_server import Api, Json, running_api
from tests.support.api_world import World

VIEWER = "query Viewer { viewer { accountId } }"
SCOPES = "query Scopes { viewer { scopes } }"
UPDATES = "subscription Updates { orderUpdates { kind } }"
ACCOUNT = {"viewer": {"accountId": "alice"}}
TRUSTED = tuple(
    TrustedDocument(id=name.lower(), name=name, text=text) for name, text in (("Viewer", VIEWER), ("Updates", UPDATES))
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def by_hash(text: str, **others: object) -> Json:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}, **others}


async def answer(api: Api, body: Json) -> Json:
    result: Json = await (await api.post(body)).json()
    return result


async def code(api: Api, body: Json) -> str:
    (error,) = (await answer(api, body))["errors"]
    name: str = error["extensions"]["code"]
    return name


@pytest.fixture(scope="module")
async def automatic() -> AsyncIterator[Api]:
    settings = GraphSettings(
        documents=DocumentPolicy.APQ, persisted_max_documents=2, trusted_documents=TRUSTED[:1], get_queries_allowed=True
    )
    async with running_api(World(settings=settings)) as api:
        yield api


@pytest.fixture(scope="module")
async def trusting() -> AsyncIterator[Api]:
    settings = GraphSettings(
        documents=DocumentPolicy.TRUSTED, trusted_documents=TRUSTED, get_queries_allowed=True, max_cost_objects=1_000
    )
    async with running_api(World(settings=settings)) as api:
        yield api


async def test_a_hash_is_not_found_then_registered_with_its_text_then_enough(automatic: Api) -> None:
    unknown = await automatic.post(by_hash(SCOPES))
    registered = await answer(automatic, by_hash(SCOPES, query=SCOPES))
    known = await answer(automatic, by_hash(SCOPES))

    assert unknown.status == 200
    (error,) = (await unknown.json())["errors"]
    # Apollo's clients check for exactly this message or this code.
    assert error == {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
    assert registered == known
    assert "errors" not in known


async def test_a_text_under_the_hash_of_another_is_neither_run_nor_cached(automatic: Api) -> None:
    foreign = "{ viewer { __typename } }"

    assert await code(automatic, by_hash(foreign, query=VIEWER)) == "BAD_REQUEST"
    assert await code(automatic, by_hash(foreign)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_document_that_cannot_be_run_is_not_registered(automatic: Api) -> None:
    assert await code(automatic, by_hash("{ nothing }", query="{ nothing }")) == "GRAPHQL_VALIDATION_FAILED"
    assert await code(automatic, by_hash("{ nothing }")) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_bounded_number_of_documents_is_registered_the_least_used_dropped_first(automatic: Api) -> None:
    texts = [f"{{ a{number}: viewer {{ accountId }} }}" for number in range(3)]
    for text in texts:
        await answer(automatic, by_hash(text, query=text))

    assert await code(automatic, by_hash(texts[0])) == "PERSISTED_QUERY_NOT_FOUND"
    assert "data" in await answer(automatic, by_hash(texts[2]))
    # What the manifest has is never dropped.
    assert await answer(automatic, by_hash(VIEWER)) == {"data": ACCOUNT}


async def test_a_hash_serves_by_get_and_over_the_socket_too(automatic: Api) -> None:
    await answer(automatic, by_hash(UPDATES, query=UPDATES))
    parameters = {"extensions": json.dumps(by_hash(VIEWER)["extensions"])}

    assert await (await automatic.get(parameters)).json() == {"data": ACCOUNT}
    async with automatic.conversation() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": by_hash(UPDATES)})
        assert (await socket.receive())["payload"]["data"] == {"orderUpdates": {"kind": "CHECKPOINT"}}
        await socket.send({"id": "2", "type": "subscribe", "payload": by_hash("{ __typename }")})
        refused = await socket.receive()

    assert (refused["id"], refused["type"]) == ("2", "error")
    assert refused["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "asked",
    [
        5,
        {},
        {"version": 2, "sha256Hash": "a"},
        {"version": 1},
        {"version": 1, "sha256Hash": 5},
        {"version": 1, "sha256Hash": ""},
    ],
)
@pytest.mark.parametrize("query", [VIEWER, None])
async def test_a_malformed_hash_is_a_400(automatic: Api, asked: object, query: str | None) -> None:
    response = await automatic.post({"query": query, "extensions": {"persistedQuery": asked}})

    assert response.status == 400
    assert (await response.json())["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_where_any_document_is_run_none_is_found_by_a_name(api: Api) -> None:
    assert await code(api, by_hash(VIEWER)) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert await code(api, {"documentId": "viewer"}) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert await answer(api, by_hash(SCOPES, query=VIEWER)) == {"data": ACCOUNT}


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": "viewer"},
        {"id": "viewer"},
        {"doc_id": "viewer", "operationName": "Viewer"},
        {"query": VIEWER},
        {"documentId": "viewer", "query": VIEWER},
        by_hash(VIEWER),
    ],
)
async def test_a_trusted_document_is_run_by_its_id_its_hash_or_its_very_text(trusting: Api, body: Json) -> None:
    assert await answer(trusting, body) == {"data": ACCOUNT}


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ viewer { accountId } }"},
        {"query": VIEWER + " "},
        {"documentId": "scopes"},
        {"documentId": "viewer", "query": SCOPES},
        {"documentId": "viewer", "query": UPDATES},
        by_hash(SCOPES),
        by_hash(SCOPES, query=SCOPES),
    ],
)
async def test_what_is_not_trusted_is_not_run_on_either_transport(trusting: Api, body: Json) -> None:
    assert await code(trusting, body) == "DOCUMENT_NOT_TRUSTED"
    async with trusting.conversation() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": body})
        refused = await socket.receive()

    assert refused["type"] == "error"
    assert refused["payload"][0]["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}


async def test_a_trusted_document_is_run_by_get_and_over_the_socket_too(trusting: Api) -> None:
    assert await (await trusting.get({"id": "viewer"})).json() == {"data": ACCOUNT}
    async with trusting.conversation() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"documentId": "updates"}})

        assert (await socket.receive())["payload"]["data"] == {"orderUpdates": {"kind": "CHECKPOINT"}}


def test_the_manifests_of_relay_and_of_apollo_are_read(tmp_path: Path) -> None:
    relay, apollo = tmp_path / "persisted_queries.json", tmp_path / "manifest.json"
    relay.write_text(json.dumps({"abc": VIEWER}))
    operation = {"id": "abc", "name": "Viewer", "type": "query", "body": VIEWER}
    apollo.write_text(
        json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]})
    )

    assert read_manifest(relay) == (TrustedDocument(id="abc", name="abc", text=VIEWER),)
    assert read_manifest(apollo) == (TrustedDocument(id="abc", name="Viewer", text=VIEWER),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"a": 5}',
        '{"format": "other", "version": 1, "operations": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": {}}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a", "name": "A"}]}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [5]}',
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_with_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)

    with pytest.raises(InvalidManifestError, match=r"manifest\.json"):
        read_manifest(path)


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifestError, match=r"nowhere\.json"):
        read_manifest(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("query Bad {", "Syntax Error"),
        ("query Bad { nothing }", "Cannot query field 'nothing'"),
        ("query Bad { " + " ".join(f"a{number}: __typename" for number in range(16)) + " }", "16 aliases; 15"),
        ("query Bad { orders(first: 100) { nodes { id } } }", "could hold 102 objects; 100 are allowed"),
    ],
)
def test_a_trusted_document_that_could_never_be_run_prevents_the_start_of_the_process(text: str, reason: str) -> None:
    bad = TrustedDocument(id="1", name="Bad", text=text)
    settings = GraphSettings(documents=DocumentPolicy.TRUSTED, trusted_documents=(bad,), max_cost_objects=100)

    with pytest.raises(InvalidManifestError, match=rf"^Bad cannot be run: .*{reason}"):
        build_schema(settings)


def test_one_id_for_two_documents_prevents_the_start_of_the_process() -> None:
    twice = tuple(TrustedDocument(id="1", name=text[6:12], text=text) for text in (VIEWER, SCOPES))

    with pytest.raises(InvalidManifestError, match="Scopes has the id of another document: 1"):
        build_schema(GraphSettings(trusted_documents=twice))
