"""The API behind nginx, under a path, which the proxy passes on or strips."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

from tests.flow.socket import open_socket
from tests.support.debian_programs import debian_program
from tests.support.processes import running
from tests.support.servers import TestServer
from tests.support.system import System, open_system, token
from tools.devstack.ports import free_port, is_taken

ROOT = "/fillwire"
HTML = {"accept": "text/html"}
FOLLOW = "subscription Follow($id: ID!) { orderStatus(orderId: $id) { order { id } } }"

CONFIGURATION = """
user root; daemon off; pid {folder}/pid; error_log stderr warn;
events {{ }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1; proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_kind;
  map $http_upgrade $connection_kind {{ default upgrade; '' ''; }}
  server {{ listen 127.0.0.1:{passing}; location {root}/ {{ proxy_pass http://127.0.0.1:{api}; }} }}
  server {{ listen 127.0.0.1:{leaving_out}; location {root}/ {{ proxy_pass http://127.0.0.1:{api}/; }} }}
  server {{
    listen 127.0.0.1:{replacing_host}; location {root}/ {{ proxy_pass http://127.0.0.1:{api}; }}
    proxy_set_header Host $proxy_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_kind;
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """The API as seen by clients of one server of the proxy."""

    system: System
    address: str

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """Return the status, the text and the redirect target."""
        url = f"{self.address}{path}"
        async with self.system.session.get(url, headers=headers, allow_redirects=False) as response:
            return response.status, await response.text(), response.headers.get("location", "")


@pytest.fixture(scope="module")
async def fronts(
    module_database_url: str, valkey_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Front]]:
    """Run one API on every address of this machine behind both servers of one nginx."""
    program = debian_program("nginx")
    settings = {"ROOT_PATH": ROOT, "HOST": "::", "FILLWIRE_ENV": "development"}
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/3"
    async with open_system(database_url=module_database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api")
        async with _nginx(program, tmp_path_factory.mktemp("nginx"), api=system.ports["api"]) as ports:
            yield {name: Front(system, f"http://127.0.0.1:{port}{ROOT}") for name, port in ports.items()}


@pytest.fixture(params=["passing", "leaving_out"])
def front(request: pytest.FixtureRequest, fronts: dict[str, Front]) -> Front:
    """Each of both."""
    return fronts[request.param]


@asynccontextmanager
async def _nginx(program: Path, folder: Path, *, api: int) -> AsyncIterator[dict[str, int]]:
    ports = {"passing": free_port(), "leaving_out": free_port(), "replacing_host": free_port()}
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, root=ROOT, api=api, **ports))

    async def is_ready() -> bool:
        return all(map(is_taken, ports.values()))

    arguments = ["-p", str(folder), "-c", str(configuration)]
    async with running(arguments, environment={}, ready=is_ready, python=str(program)):
        yield ports


async def test_a_page_and_its_files_are_found_under_the_path(front: Front) -> None:
    status, _, target = await front.get("/", **HTML)
    assert (status, target) == (307, f"{ROOT}/graphql")

    for path in ("/graphql", "/graphql/"):
        status, page, _ = await front.get(path, **HTML)
        assert status == 200
        assert 'src="/graphiql/' not in page
        files = re.findall(rf'(?:src|href)="{ROOT}(/[^"]+)"', page)
        assert {"/graphiql/tabs.js", "/graphiql/boot.js", "/graphiql/page.css"} <= set(files)
        for file in files:
            assert (await front.get(file))[0] == 200, file


@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
async def test_queries_are_answered_and_orders_followed_under_the_path(front: Front, path: str) -> None:
    headers = {"authorization": f"Bearer {token('demo')}"}
    url = f"{front.address}{path}"

    async with front.system.session.post(url, json={"query": "{ __typename }"}, headers=headers) as response:
        assert await response.json() == {"data": {"__typename": "Query"}}
    order_id = await front.system.placed_id()
    async with open_socket(url.replace("http", "ws"), token=token("demo")) as socket:
        changes = await socket.subscribe(FOLLOW, {"id": order_id})
        assert (await changes.next())["orderStatus"]["order"]["id"] == order_id


@pytest.mark.parametrize("path", ["/healthz/", "/readyz", "/readyz/"])
async def test_health_is_served_with_and_without_a_slash_at_the_end(front: Front, path: str) -> None:
    assert (await front.get(path))[0] == 200


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/", "//", "/graphql/more", "/nothing/"])
async def test_nothing_is_redirected_to_an_address_that_the_proxy_does_not_have(front: Front, path: str) -> None:
    status, _, target = await front.get(path)

    assert target in {"", f"{ROOT}/graphql"}
    assert status in {307, 404}


async def test_a_page_of_the_same_address_connects_and_where_nginx_replaces_host_the_refusal_says_how_to_stop_it(
    fronts: dict[str, Front],
) -> None:
    async def handshake(front: Front) -> tuple[int, str]:
        origin = front.address.removesuffix(ROOT)
        try:
            async with websockets.connect(
                f"{front.address}/graphql".replace("http", "ws"),
                origin=websockets.Origin(origin),
                subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
                proxy=None,
            ):
                return 101, ""
        except websockets.InvalidStatus as refused:
            return refused.response.status_code, refused.response.body.decode()

    assert (await handshake(fronts["passing"]))[0] == 101
    status, text = await handshake(fronts["replacing_host"])

    assert status == 403
    assert "proxy_set_header Host $http_host" in text


async def test_any_address_of_version_6_serves_version_4_too(front: Front) -> None:
    port = front.system.ports["api"]

    for host in ("127.0.0.1", "[::1]"):
        async with front.system.session.get(f"http://{host}:{port}{ROOT}/healthz") as response:
            assert response.status == 200
