"""A front end on another address in a real browser, with the headers that Apollo, Sentry and OpenTelemetry add."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.flow.browser import Page, open_page
from tests.support.audited_api import AuditedApi, running_api
from tests.support.system import token
from tools.devstack.ports import free_port
from tools.devstack.processes import LOCAL_ORIGINS

HEADERS = {
    "apollographql-client-name": "desk",
    "apollographql-client-version": "1.2.3",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "vendor=value",
    "sentry-trace": "771a43a4192642f0b136d5159a501700-0000000000000000-1",
    "baggage": "sentry-release=1.2.3",
    "last-event-id": "7",
}
ANSWER = {"status": 200, "body": {"data": {"viewer": {"accountId": "demo"}}}}
FEW_REQUESTS = {"REQUESTS_PER_SECOND_MAX": "1", "REQUESTS_BURST_MAX": "3"}
ASK = """
(async (url, headers) => {
  const ask = async (address, options) => {
    const response = await fetch(address, { ...options, headers: { ...headers, ...options.headers } });
    return { status: response.status, body: await response.json(), retryAfter: response.headers.get("retry-after") };
  };
  const query = "{ viewer { accountId } }";
  const post = { method: "POST", body: JSON.stringify({ query }), headers: { "content-type": "application/json" } };
  const answers = [await ask(`${url}?query=${encodeURIComponent(query)}`, {}), await ask(url, post)];
  while (answers.at(-1).status === 200) answers.push(await ask(url, post));
  return answers;
})(%s, %s)
"""
CONNECT = """
new Promise((resolve) => {
  const socket = new WebSocket(%s, "graphql-transport-ws");
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init", payload: { Authorization: %s } }));
  socket.onmessage = ({ data }) => resolve(JSON.parse(data).type);
  socket.onclose = ({ code }) => resolve(code);
})
"""


@asynccontextmanager
async def page_of_another_origin(folder: Path) -> AsyncIterator[Page]:
    """Return a page that a development server shows on a port of its own."""

    async def show(_request: web.BaseRequest) -> web.Response:
        return web.Response(
            text="<!doctype html><title>desk</title><link rel=icon href=data:>", content_type="text/html"
        )

    runner, port = web.ServerRunner(web.Server(show)), free_port()
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with open_page(folder) as page:
            await page.open(f"http://127.0.0.1:{port}/")
            await page.until("document.title === 'desk'")
            yield page
    finally:
        await runner.cleanup()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with page_of_another_origin(tmp_path / "browser") as page:
        yield page


def ask(api: AuditedApi) -> str:
    """Return the script that asks until there are too many requests."""
    headers = {**HEADERS, "authorization": f"Bearer {token('demo')}"}
    return ASK % (json.dumps(api.url), json.dumps(headers))


def connect(api: AuditedApi) -> str:
    """Return the script that opens a websocket."""
    return CONNECT % (json.dumps(api.url.replace("http", "ws")), json.dumps(f"Bearer {token('demo')}"))


async def test_a_page_on_a_local_port_asks_with_any_header_connects_and_reads_when_to_ask_again(
    database_url: str, redis_url: str, page: Page
) -> None:
    settings = {"FILLWIRE_ENV": "development", "ALLOWED_ORIGINS": LOCAL_ORIGINS, **FEW_REQUESTS}
    async with running_api(database_url=database_url, redis_url=redis_url, settings=settings) as api:
        *answered, refused = await page.value(ask(api))
        connected = await page.value(connect(api))

    assert len(answered) >= 2
    assert all(answer == {**ANSWER, "retryAfter": None} for answer in answered)
    assert (refused["status"], refused["retryAfter"]) == (429, "1")
    assert connected == "connection_ack"


async def test_a_page_of_an_origin_that_is_not_allowed_gets_nothing_and_the_log_names_the_setting(
    database_url: str, redis_url: str, page: Page
) -> None:
    async with running_api(database_url=database_url, redis_url=redis_url) as api:
        for script in (f"{ask(api)}.catch(String)", connect(api)):
            assert await page.value(script) in {"TypeError: Failed to fetch", 1006}
        line = json.loads(await api.process.shows("cross_origin_refused", within_seconds=5))

    assert line["setting"] == "ALLOWED_ORIGINS"
    assert line["origin"].startswith("http://127.0.0.1:")
