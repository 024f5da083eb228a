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
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from graph.http.graphiql import CDN, LIBRARIES, PAGE_PATH, STATIC_PATH
from tests.flow.browser import WINDOW, Page, open_page
from tests.support.node import INSTALL_TIMEOUT_SECONDS, need_program
from tests.support.processes import ROOT
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system, token

pytestmark = pytest.mark.timeout(INSTALL_TIMEOUT_SECONDS + 60)  # The first test installs GraphiQL.

HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ADDRESS = re.compile(r'(?:src|href)="([^"]+)"')
HASHED = re.compile(r'"\{\{([a-z.-]+)\}\}"[^>]*?integrity="(sha384-[^"]+)"')
OWN_FILES = ["/graphiql/page.css", "/graphiql/tabs.js", "/graphiql/boot.js"]
TABS = ["PlaceOrder", "FollowOrder", "FollowAccount", "Orders", "PlaceLimitOrder", "CancelOrder"]
SHOWN = "document.querySelector('.graphiql-response .CodeMirror')?.CodeMirror.getValue()"
EXECUTE = ".graphiql-execute-button"
TAB_NAMES = "[...document.querySelectorAll('.graphiql-tab-button')].map(tab => tab.innerText)"
EDITOR = "document.querySelector('.graphiql-query-editor .CodeMirror')"
VARIABLES = "document.querySelectorAll('.graphiql-editor-tool .CodeMirror')[0]"
HEADERS = "document.querySelectorAll('.graphiql-editor-tool .CodeMirror')[1]"
ACCOUNT = "document.querySelector('#account')?.innerText"
PHONE = (390, 844)


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


@pytest.fixture(scope="module")
async def browser(
    installed_graphiql: None,  # noqa: ARG001 - it has put the files into their place
    development: System,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Page, Proxy, str]]:
    """Provide a browser that reaches this machine alone, over a connection that can be cut, and the page's address."""
    await development.start("worker", "ingest")
    folder = tmp_path_factory.mktemp("browser")
    async with proxied(development.api_url) as (proxy, url), open_page(folder) as page:
        yield page, proxy, f"{url}/graphql"


@pytest.fixture
async def opened(browser: tuple[Page, Proxy, str]) -> tuple[Page, Proxy]:
    """GraphiQL as a browser shows it that was never here."""
    page, proxy, address = browser
    # A page that is still there would write into the storage again.
    await page.open("about:blank")
    await page.until("window.location.href === 'about:blank'")
    await page.call("Storage.clearDataForOrigin", origin=address.removesuffix("/graphql"), storageTypes="all")
    await page.call("Emulation.clearDeviceMetricsOverride")
    page.requested.clear()
    page.complaints.clear()
    await page.open(address)
    await page.until(f"document.querySelector('{EXECUTE}') !== null && {SHOWN} === ''")
    return page, proxy


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
        assert response.status == 401
        assert response.content_type == "application/json"
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
    assert await page.value(TAB_NAMES) == TABS

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
        await page.show_on(width=WINDOW[0], height=WINDOW[1])
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


async def test_each_run_of_an_order_tab_is_a_new_order_and_the_newest_open_one_is_canceled(
    opened: tuple[Page, Proxy], development: System
) -> None:
    page, _ = opened
    await page.click(EXECUTE)
    market = (await _shown(page, "PlaceOrderSuccess"))["data"]["placeOrder"]["order"]

    resting: list[Json] = []
    await _open_tab(page, "PlaceLimitOrder")
    for _number in range(2):
        await page.click(EXECUTE)
        await page.until(f"{SHOWN}.includes('PlaceOrderSuccess') && !{SHOWN}.includes({_last_id(resting)})")
        resting.append(json.loads(await page.value(SHOWN))["data"]["placeOrder"]["order"])
    for order in (market, *resting):
        await development.becomes(order["id"], "PLACED")
    canceled: list[Json] = []
    await _open_tab(page, "CancelOrder")
    for _number in range(2):
        await page.click(EXECUTE)
        await page.until(f"{SHOWN}.includes('CancelOrderSuccess') && !{SHOWN}.includes({_last_id(canceled)})")
        canceled.append(json.loads(await page.value(SHOWN))["data"]["cancelOrder"]["order"])
        await development.becomes(canceled[-1]["id"], "CANCELED")

    assert len({order["clientOrderId"] for order in (market, *resting)}) == 3
    assert [order["id"] for order in canceled] == [order["id"] for order in resting[::-1]]
    assert page.complaints == []


async def test_a_link_shows_its_query_beside_the_tabs_and_runs_nothing_by_itself(opened: tuple[Page, Proxy]) -> None:
    page, _ = opened
    address = await page.value("window.location.href.split('?')[0]")
    query, variables = "query Linked($first: Int) { orders(first: $first) { nodes { id } } }", {"first": 0}
    link = f"{address}?{urlencode({'query': query, 'variables': json.dumps(variables)})}"
    shows_it = f"{EDITOR}?.CodeMirror.getValue() === {json.dumps(query)}"

    # A browser that has been here keeps its tabs; a new one gets ours.
    for forget in ("", "window.localStorage.clear()"):
        await page.value(forget or "0")
        await page.call("Page.navigate", url=link)
        await page.until(shows_it)
        assert sorted(await page.value(TAB_NAMES)) == sorted([*TABS, "Linked"])
        assert json.loads(await page.value(f"{VARIABLES}.CodeMirror.getValue()")) == variables
        assert await page.value(SHOWN) == ""
        await page.click(EXECUTE)
        assert await _shown(page, '"nodes"') == {"data": {"orders": {"nodes": []}}}


async def test_the_page_shows_whose_account_is_signed_in_by_the_token_that_is_used(opened: tuple[Page, Proxy]) -> None:
    page, _ = opened

    await page.until(f"{ACCOUNT} === 'account demo'")
    assert "orders:place" in await page.value("document.querySelector('#account').title")
    for bearer, shown in ((token("alice"), "account alice"), ("nonsense", "not signed in")):
        headers = json.dumps({"authorization": f"Bearer {bearer}"})
        await page.click(".graphiql-editor-tools button:nth-of-type(2)")
        await page.value(f"{HEADERS}.CodeMirror.setValue({json.dumps(headers)})")
        await page.click(EXECUTE)
        await page.until(f"{ACCOUNT} === {json.dumps(shown)}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_each_part_of_the_page_has_its_width_and_nothing_is_cut_off(
    opened: tuple[Page, Proxy], scheme: str
) -> None:
    page, _ = opened
    await page.show_on(width=PHONE[0], height=PHONE[1], scheme=scheme)
    await page.click(EXECUTE)
    await _shown(page, "PlaceOrderSuccess")

    assert await page.value("document.documentElement.scrollWidth") == PHONE[0]
    for part, width, height in (
        (".graphiql-query-editor", 300, 150),
        (".graphiql-editor-tool", 300, 80),
        (".graphiql-response", 300, 200),
        (EXECUTE, 40, 40),
        (".graphiql-sidebar", 300, 40),
        ("#account", 50, 10),
    ):
        left, top, right, bottom = await page.value(f"Object.values({_box(part)})")
        assert right - left >= width, part
        assert bottom - top >= height, part
        assert left >= 0, part
        assert right <= PHONE[0], part
        assert top >= 0, part
        assert bottom <= PHONE[1], part
    assert await page.value("getComputedStyle(document.body).colorScheme") == "light dark"
    assert page.complaints == []


def _box(selector: str) -> str:
    found = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
    return f"(({{left, top, right, bottom}}) => ({{left, top, right, bottom}}))({found})"


def _last_id(orders: Sequence[Json]) -> str:
    return json.dumps(orders[-1]["id"] if orders else "no order")


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
