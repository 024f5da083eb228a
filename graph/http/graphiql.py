"""GraphiQL, in development or where it is allowed: our own page over locally installed files, so that it works without
internet.

Without those files (no node at the installation) the same page loads them from a CDN. The page contains each one's
hash, so the browser runs the same code in both cases.
"""

import re
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from domain.ports.telemetry import Telemetry
from graph.settings import GraphSettings

PAGE_PATH = Path(__file__).parent / "static" / "index.html"
STATIC_PATH = PAGE_PATH.parent
CDN = "https://unpkg.com"
LIBRARIES = {
    "react.js": "react@18.3.1/umd/react.production.min.js",
    "react-dom.js": "react-dom@18.3.1/umd/react-dom.production.min.js",
    "graphiql.js": "graphiql@4.1.2/graphiql.min.js",
    "graphiql.css": "graphiql@4.1.2/graphiql.min.css",
    "explorer.js": "@graphiql/plugin-explorer@4.0.6/dist/index.umd.js",
    "explorer.css": "@graphiql/plugin-explorer@4.0.6/dist/style.css",
}
"""Each file by its name here: where the CDN has it. The versions are those of tools/graphiql/package.json."""

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'{cdn}; style-src 'self' 'unsafe-inline'{cdn}; font-src data:; "
    "img-src 'self' data:; connect-src 'self'{socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:]{2,39}\](:[0-9]{1,5})?", re.ASCII)


class GraphiQL:
    """The page."""

    def __init__(self, settings: GraphSettings, telemetry: Telemetry) -> None:
        self._root_path = settings.root_path
        self._token_path = settings.development_token_path if settings.is_development else None
        self._telemetry = telemetry

    def page(self, request: Request) -> Response:
        """Return the page for a browser, with the development token in it when the browser used a local host name."""
        # Checked each time: the files may be installed while this process runs.
        is_installed = all((STATIC_PATH / "graphiql" / name).is_file() for name in LIBRARIES)
        if not is_installed:
            self._telemetry.info("graphiql_from_cdn", next="run tools/graphiql/install.py to have it without internet")
        page = PAGE_PATH.read_text(encoding="utf-8")
        for name, path in LIBRARIES.items():
            page = page.replace(f"{{{{{name}}}}}", f"/graphiql/graphiql/{name}" if is_installed else f"{CDN}/{path}")
        page = page.replace('"/graphiql/', f'"{self._root_path}/graphiql/')
        page = page.replace("{{token}}", escape(self._token_for(request), quote=True))
        return _html(page, POLICY.format(cdn="" if is_installed else f" {CDN}", socket=_socket_source(request)))

    def _token_for(self, request: Request) -> str:
        # A page whose host name resolves to this machine (DNS rebinding) must not be able to read the token.
        if self._token_path is None or request.url.hostname not in LOCAL_HOSTS:
            return ""
        try:
            return self._token_path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            return ""


def _socket_source(request: Request) -> str:
    """Return the page's own websocket. Not every browser includes it in 'self'."""
    host = request.headers.get("host", "")
    return f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""


def _html(page: str, policy: str) -> Response:
    return HTMLResponse(
        page,
        headers={
            "cache-control": "no-store",
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )
