"""GraphiQL from a complete API process: in development a page without external resources, tested in a browser
without network; in production none, unless it is allowed.
"""

import asyncio
import base64
import fcntl
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from graph.http.graphiql import CDN, LIBRARIES, PAGE_PATH, STATIC_PATH
from tests.flow.browser import Page, open_page
from tests.support.node import INSTALL_TIMEOUT_SECONDS, need_program
from tests.support.processes import ROOT
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system, token

pytestmark = pytest.mark.timeout(INSTALL_TIMEOUT_SECONDS + 60)  # The first test installs GraphiQL.

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ADDRESS = re.compile(r'(?:src|href)="([^"]+)"')
HASHED = re.compile(r'"\{\{([a-z.-]+)\}\}"[^>]*?integrity="(sha384-[^"]+)"')
OWN_FILES = ["/graphiql/page.css", "/graphiql/boot.js"]
TABS = ["PlaceOrder", "FollowOrder", "FollowAccount", "Orders", "CancelOrder"]
SHOWN = "document.querySelector('.graphiql-response .CodeMirror').CodeMirror.getValue()"
EXECUTE = ".graphiql-execute-button"


@pytest.fixture(scope="module")
async def development(
    postgres_server: PostgresServer,
    valkey_server: TestServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[System]:
    """Run a system whose API is configured like `./dev up`'s, with a token for the page."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    token_path = tmp_path_factory.mktemp("graphiql") / "token"
    token_path.write_text(token("demo"))
    settings = {"FILLWIRE_ENV": "development", "LOCAL_TOKEN_FILE": str(token_path)}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api")
        yield system


@pytest.fixture(scope="session")
def installed_graphiql() -> None:
    """GraphiQL's files in their place, put there by set-up's own program."""
    need_program("npm")
    with (ROOT / "tools/graphiql/package-lock.json").open() as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        answer = subprocess.run(
            [sys.executable, "tools/graphiql/install.py"], cwd=ROOT, check=True, capture_output=True, text=True
        )
    assert "not installed" not in answer.stdout, answer.stdout


@pytest.fixture
async def opened(
    installed_graphiql: None,  # noqa: ARG001 - it has put the files into their place
    development: System,
    tmp_path: Path,
) -> AsyncIterator[tuple[Page, Proxy]]:
    """GraphiQL in a browser that can reach only this machine, over a connection that can be closed."""
    await development.start("worker", "ingest")
    async with proxied(development.api_url) as (proxy, url), open_page(tmp_path / "browser") as page:
        await page.open(f"{url}/graphql")
        await page.until(f"document.querySelector('{EXECUTE}') !== null")
        yield page, proxy


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


async def test_installed_it_uses_no_other_host_and_otherwise_one_cdn(development: System) -> None:
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


async def test_allowed_in_production_it_is_shown_with_introspection_and_without_a_token(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(token("demo"))
    settings = {"GRAPHIQL_ALLOWED": "true", "LOCAL_TOKEN_FILE": str(tmp_path / "token")}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api")
        async with system.session.get(f"{system.api_url}/graphql", headers=HTML) as response:
            assert response.status == 200
            assert 'name="fillwire-token" content=""' in await response.text()
        assert await system.ask("{ __schema { queryType { name } } }") == {"__schema": {"queryType": {"name": "Query"}}}


def test_the_cdn_has_the_versions_that_the_installer_uses() -> None:
    locked = json.loads((ROOT / "tools/graphiql/package.json").read_text())["dependencies"]

    asked = {path.split("/dist/" if path.startswith("@") else "/")[0] for path in LIBRARIES.values()}

    assert asked == {f"{package}@{version}" for package, version in locked.items()}


@pytest.mark.usefixtures("installed_graphiql")
def test_the_page_names_the_hash_of_every_installed_file() -> None:
    hashes = dict(HASHED.findall(PAGE_PATH.read_text()))

    assert hashes == {name: _hash(STATIC_PATH / "graphiql" / name) for name in LIBRARIES}


async def test_in_a_browser_without_internet_an_order_is_placed_followed_over_a_closed_connection_and_canceled(
    opened: tuple[Page, Proxy], development: System, pytestconfig: pytest.Config
) -> None:
    page, proxy = opened
    assert await page.value("[...document.querySelectorAll('.graphiql-tab-button')].map(tab => tab.innerText)") == TABS

    await page.click(EXECUTE)
    placed = await _shown(page, "PlaceOrderSuccess")
    order = placed["data"]["placeOrder"]["order"]
    await development.becomes(order["id"], "PLACED")
    await _open_tab(page, "FollowOrder")
    await page.click(EXECUTE)
    await _shown(page, '"status": "PLACED"')
    await proxy.take_away()
    await proxy.restore()
    venue_order_id = (await development.order(order["id"]))["venueOrderId"]
    await development.control("POST", "fills", {"order_id": venue_order_id, "qty": "40", "price": "232.41"})
    followed = await _shown(page, '"filledQuantity": "40"')
    if picture := pytestconfig.getoption("--graphiql-picture"):
        await asyncio.to_thread(Path(picture).write_bytes, await page.picture())
    await _open_tab(page, "CancelOrder")
    await page.click(EXECUTE)
    canceled = await _shown(page, "CancelOrderSuccess")
    await _open_tab(page, "FollowOrder")
    await page.click(EXECUTE)
    await _shown(page, '"status": "CANCELED"')

    await _open_tab(page, "Orders")
    await page.click(EXECUTE)
    await _shown(page, '"pageInfo"')
    await _open_tab(page, "FollowAccount")
    await page.click(EXECUTE)
    await _shown(page, '"CHECKPOINT"')

    history = followed["data"]["orderStatus"]["order"]["history"]["nodes"]
    assert [change["kind"] for change in history] == ["RECEIVED", "PLACED", "FILL"]
    assert canceled["data"]["cancelOrder"]["order"]["id"] == order["id"]
    assert page.complaints == []
    assert {urlsplit(url).hostname for url in page.requested if not url.startswith("data:")} == {"127.0.0.1"}


async def _open_tab(page: Page, name: str) -> None:
    await page.value(f"document.querySelectorAll('.graphiql-tab-button')[{TABS.index(name)}].click()")
    # GraphiQL renders the tab slightly before it has determined which operation it would run.
    await page.until(f"window.localStorage.getItem('graphiql:operationName') === '{name}'")


async def _shown(page: Page, text: str) -> Json:
    """Wait until the answer contains the text, and return the answer."""
    await page.until(f"{SHOWN}.includes({json.dumps(text)})")
    answer: Json = json.loads(await page.value(SHOWN))
    return answer


def _addresses(page: str) -> Iterator[str]:
    """Return the URLs that the page loads, except its empty icon."""
    return (address for address in ADDRESS.findall(page) if not address.startswith("data:"))


def _directive(policy: str, name: str) -> list[str]:
    [words] = [part.split()[1:] for part in policy.split(";") if part.split()[:1] == [name]]
    return words


def _hash(path: Path) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
