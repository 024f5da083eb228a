"""Answers that are large are compressed for those who ask for it; small ones are sent as they are."""

import gzip

import aiohttp
import orjson
import pytest

from graph.http.compression import COMPRESSED_MIN_BYTES
from tests.support.api_server import Api, Json, token
from tests.support.graphql_orders import PLACE, limit_order, placed_id

ORDERS = {"query": "{ orders { nodes { id clientOrderId status quantity limitPrice createdAt updatedAt } } }"}
VIEWER = {"query": "{ viewer { accountId } }"}


async def raw(api: Api, body: Json, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return the answer, with its bytes as they were sent."""
    sent = {"authorization": f"Bearer {token()}", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers={"accept-encoding"}) as http,
        http.post(api.url, data=orjson.dumps(body), headers=sent) as response,
    ):
        return response, await response.read()


@pytest.mark.parametrize("asked", ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8", "deflate,gzip;q=0.001"])
async def test_a_large_answer_is_compressed_when_it_is_asked_for(api: Api, asked: str) -> None:
    for number in range(10):
        await placed_id(api, f"order-{number}")
    plain, expected = await raw(api, ORDERS)

    response, body = await raw(api, ORDERS, accept_encoding=asked)

    assert len(expected) > COMPRESSED_MIN_BYTES
    assert len(body) < len(expected) / 2
    assert gzip.decompress(body) == expected
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(body))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    "asked", ["", "identity", "gzip;q=0", "gzip; q=0.0, br", "br, zstd", "*;q=0", "not-gzip", "br;x=gzip", "x-gzip;q=0"]
)
async def test_an_answer_is_sent_as_it_is_to_those_who_do_not_ask(api: Api, asked: str) -> None:
    for number in range(10):
        await placed_id(api, f"order-{number}")

    response, body = await raw(api, ORDERS, accept_encoding=asked)

    assert "content-encoding" not in response.headers
    assert len(orjson.loads(body)["data"]["orders"]["nodes"]) == 10


@pytest.mark.parametrize("asked", [VIEWER, {"query": PLACE, "variables": {"input": limit_order()}}, {"query": "{"}])
async def test_a_small_answer_is_never_compressed_nor_looked_at_again(
    api: Api, asked: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.http.compression.GZipMiddleware", None)

    response, body = await raw(api, asked, accept_encoding="gzip")

    assert response.status == 200
    assert "content-encoding" not in response.headers
    assert len(body) <= COMPRESSED_MIN_BYTES
    assert orjson.loads(body)
