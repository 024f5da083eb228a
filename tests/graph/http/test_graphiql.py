"""GraphiQL: a page for browsers in development, with the token for local ones only."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from graph.http import graphiql
from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api, token
from tests.support.api_world import World

HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def development(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """Run a development server whose GraphiQL is installed, with stand-ins for the libraries."""
    (tmp_path / "graphiql").mkdir()
    for name in graphiql.LIBRARIES:
        (tmp_path / "graphiql" / name).write_text("library")
    for name in ("index.html", "tabs.js", "boot.js", "page.css"):
        (tmp_path / name).write_text((graphiql.STATIC_PATH / name).read_text())
    (tmp_path / "token").write_text('secret-"token"\n')
    monkeypatch.setattr("graph.http.graphiql.STATIC_PATH", tmp_path)
    monkeypatch.setattr("graph.app.STATIC_PATH", tmp_path)
    settings = GraphSettings(is_development=True, development_token_path=tmp_path / "token")
    async with running_api(World(settings=settings)) as api:
        yield api


async def page(api: Api, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
    async with api.http.get(api.url, headers={**HTML, **headers}) as response:
        return response, await response.text()


async def test_a_browser_gets_the_page_with_the_token_under_a_strict_policy(development: Api) -> None:
    response, text = await page(development)

    assert response.status == 200
    assert "default-src 'none'; script-src 'self';" in response.headers["content-security-policy"]
    assert 'content="secret-&quot;token&quot;"' in text
    assert "http" not in text


@pytest.mark.parametrize(
    "path", ["tabs.js", "boot.js", "page.css", *(f"graphiql/{name}" for name in graphiql.LIBRARIES)]
)
async def test_every_file_of_the_page_is_served(development: Api, path: str) -> None:
    _, text = await page(development)

    assert f'"/graphiql/{path}"' in text
    async with development.http.get(development.url.replace("/graphql", f"/graphiql/{path}")) as response:
        assert response.status == 200


async def test_a_browser_that_uses_a_foreign_host_name_gets_no_token(development: Api) -> None:
    _, text = await page(development, host="evil.example")

    assert 'content=""' in text


async def test_a_client_that_does_not_accept_html_gets_no_page(development: Api) -> None:
    async with development.http.get(development.url, headers={"accept": "*/*"}) as response:
        assert response.status == 405


async def test_without_the_libraries_the_page_loads_from_the_cdn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.http.graphiql.STATIC_PATH", tmp_path)
    async with running_api(World(settings=GraphSettings(is_development=True))) as api:
        response, text = await page(api)

    assert response.status == 200
    assert "unpkg.com" in text
    assert "unpkg.com" in response.headers["content-security-policy"]
    assert len(api.world.telemetry.said("graphiql_from_cdn")) == 1


async def test_in_production_there_is_no_page(api: Api) -> None:
    async with api.http.get(api.url, headers={**HTML, "authorization": f"Bearer {token()}"}) as response:
        assert response.status == 405


@pytest.mark.parametrize(
    ("host", "sources"),
    [
        ("gateway.example:8443", "'self' ws://gateway.example:8443 wss://gateway.example:8443"),
        ("[::1]:8000", "'self' ws://[::1]:8000 wss://[::1]:8000"),
        ("a;b", "'self'"),
    ],
)
async def test_the_page_may_connect_only_to_its_own_origin(development: Api, host: str, sources: str) -> None:
    response, _ = await page(development, host=host)

    assert f"connect-src {sources};" in response.headers["content-security-policy"]


async def test_where_it_is_allowed_in_production_the_page_contains_no_token(development: Api, tmp_path: Path) -> None:
    settings = GraphSettings(graphiql_allowed=True, development_token_path=tmp_path / "token")
    async with running_api(World(settings=settings)) as allowed:
        _, text = await page(allowed)
        introspection = await allowed.data("{ __schema { queryType { name } } }")

    assert 'name="fillwire-token" content=""' in text
    assert introspection == {"__schema": {"queryType": {"name": "Query"}}}
    assert "secret" in (await page(development))[1]


@pytest.mark.parametrize(
    ("settings", "status", "target"),
    [
        (GraphSettings(is_development=True), 307, "/graphql"),
        (GraphSettings(is_development=True, root_path="/trading"), 307, "/trading/graphql"),
        (GraphSettings(), 404, None),
    ],
    ids=["development", "under a path", "production"],
)
async def test_the_root_leads_to_the_page_where_it_is_shown(
    settings: GraphSettings, status: int, target: str | None
) -> None:
    async with running_api(World(settings=settings)) as api:
        root = api.url.removesuffix("graphql")
        async with api.http.get(root, headers=HTML, allow_redirects=False) as response:
            assert (response.status, response.headers.get("location")) == (status, target)
