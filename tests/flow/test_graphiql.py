"""GraphiQL from a whole API process: a page in development that needs nobody else, and none in production."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from graph.graphiql import CDN, LIBRARIES, PAGE_PATH, STATIC_PATH
from tests.flow.system import System, open_system, token
from tests.processes import ROOT

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ADDRESS = re.compile(r'(?:src|href)="([^"]+)"')
HASHED = re.compile(r'"\{\{([a-z.-]+)\}\}"[^>]*?integrity="(sha384-[^"]+)"')
OWN_FILES = ["/graphiql/page.css", "/graphiql/boot.js"]


@pytest.fixture
async def development(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[System]:
    """A system whose API runs as `./dev up` runs it, with a token for the page."""
    (tmp_path / "token").write_text(token("demo"))
    settings = {"FILLWIRE_ENV": "development", "LOCAL_TOKEN_FILE": str(tmp_path / "token")}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api")
        yield system


async def test_a_browser_gets_a_page_whose_files_its_policy_allows_and_whose_token_opens_the_api(
    development: System,
) -> None:
    async with development.session.get(f"{development.api_url}/graphql", headers=HTML) as response:
        page, policy = await response.text(), response.headers["content-security-policy"]
        assert response.status == 200

    sources = _directive(policy, "script-src")
    assert "'unsafe-inline'" not in sources
    for address in _addresses(page):
        if address.startswith("/"):
            async with development.session.get(f"{development.api_url}{address}") as response:
                assert response.status == 200, address
        else:
            assert f"{urlsplit(address).scheme}://{urlsplit(address).netloc}" in sources
    written = re.search(r'name="fillwire-token" content="([^"]+)"', page)
    assert written
    headers = {"Authorization": f"Bearer {written[1]}"}
    query = {"query": "{ viewer { accountId } }"}
    async with development.session.post(f"{development.api_url}/graphql", json=query, headers=headers) as response:
        assert (await response.json())["data"]["viewer"]["accountId"] == "demo"


async def test_installed_it_asks_nobody_else_and_otherwise_one_cdn(development: System) -> None:
    async with development.session.get(f"{development.api_url}/graphql", headers=HTML) as response:
        page, policy = await response.text(), response.headers["content-security-policy"]

    libraries = [address for address in _addresses(page) if address not in OWN_FILES]
    assert len(libraries) == len(LIBRARIES)
    if (STATIC_PATH / "graphiql").is_dir():
        assert {urlsplit(address).netloc for address in libraries} == {""}
        assert "http" not in policy
    else:
        assert {address.removeprefix(f"{CDN}/") for address in libraries} == set(LIBRARIES.values())
        assert _directive(policy, "script-src") == ["'self'", CDN]


async def test_in_production_there_is_neither_a_page_nor_its_files(system: System) -> None:
    async with system.session.get(f"{system.api_url}/graphql", headers=HTML) as response:
        assert response.status == 405
        assert response.headers["allow"] == "POST"
        assert "<" not in await response.text()
    for path in OWN_FILES:
        async with system.session.get(f"{system.api_url}{path}") as response:
            assert response.status == 404


def test_the_cdn_is_asked_for_the_versions_that_set_up_installs() -> None:
    locked = json.loads((ROOT / "tools/graphiql/package.json").read_text())["dependencies"]

    asked = {path.split("/dist/" if path.startswith("@") else "/")[0] for path in LIBRARIES.values()}

    assert asked == {f"{package}@{version}" for package, version in locked.items()}


@pytest.mark.skipif(not (STATIC_PATH / "graphiql").is_dir(), reason="tools/graphiql/install.py has not been run")
def test_the_page_names_the_hash_of_every_installed_file() -> None:
    hashes = dict(HASHED.findall(PAGE_PATH.read_text()))

    assert hashes == {name: _hash(STATIC_PATH / "graphiql" / name) for name in LIBRARIES}


def _addresses(page: str) -> Iterator[str]:
    """What the page loads, but for its empty icon."""
    return (address for address in ADDRESS.findall(page) if not address.startswith("data:"))


def _directive(policy: str, name: str) -> list[str]:
    [words] = [part.split()[1:] for part in policy.split(";") if part.split()[:1] == [name]]
    return words


def _hash(path: Path) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
