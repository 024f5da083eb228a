"""A request's document is looked up once; the result is passed through to the end."""

from collections import Counter

import pytest

from graph.documents.lru import LruTexts
from graph.settings import DocumentPolicy, GraphSettings
from tests.support.api_server import running_api
from tests.support.api_world import World

COMPILED = "{ viewer { accountId } }"
NOT_COMPILABLE = "{ __schema { queryType { name } } }"
REFUSED = "{ unknown }"


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Return how many times each of the process's caches was read."""
    counts: Counter[int] = Counter()
    find = LruTexts.find

    def counted(cache: LruTexts[object], key: str) -> object:
        counts[id(cache)] += 1
        return find(cache, key)

    monkeypatch.setattr(LruTexts, "find", counted)
    return counts


@pytest.mark.parametrize("document", [COMPILED, NOT_COMPILABLE, REFUSED])
@pytest.mark.parametrize("policy", [DocumentPolicy.ANY, DocumentPolicy.APQ])
async def test_a_request_over_http_looks_its_document_up_once(
    look_ups: Counter[int], document: str, policy: DocumentPolicy
) -> None:
    async with running_api(World(settings=GraphSettings(is_development=True, documents=policy))) as api:
        for _ in range(2):
            look_ups.clear()
            await api.answer(document)

            assert set(look_ups.values()) == {1}


@pytest.mark.parametrize("document", [COMPILED, NOT_COMPILABLE, REFUSED])
async def test_an_operation_over_a_websocket_looks_its_document_up_once(look_ups: Counter[int], document: str) -> None:
    async with running_api(World(settings=GraphSettings(is_development=True))) as api, api.conversation() as socket:
        for number in range(2):
            look_ups.clear()
            await socket.subscribe(document, key=str(number))
            first = await socket.receive()

            assert first["type"] == ("error" if document == REFUSED else "next")
            assert set(look_ups.values()) == {1}
            if document != REFUSED:
                await socket.receive()
