"""GraphiQL, for development: our own page over files that set-up put into place, so that it works without internet.

Without those files (no node at set-up) it is Strawberry's page, which loads GraphiQL from a CDN.
"""

from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html

from domain.telemetry import Telemetry
from graph.settings import GraphSettings

STATIC_PATH = Path(__file__).parent / "static"
LIBRARIES = ("react.js", "react-dom.js", "graphiql.js", "graphiql.css", "explorer.js", "explorer.css")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; img-src 'self' data:; "
    "connect-src 'self' ws://127.0.0.1:* ws://localhost:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CDN = "https://unpkg.com"
CDN_POLICY = (
    f"default-src 'none'; script-src 'unsafe-inline' {CDN}; style-src 'unsafe-inline' {CDN}; font-src data: {CDN}; "
    f"img-src 'self' data: {CDN}; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class GraphiQL:
    """The page and its files."""

    def __init__(self, settings: GraphSettings, telemetry: Telemetry) -> None:
        self._token_path = settings.development_token_path
        self.is_installed = all((STATIC_PATH / "graphiql" / name).is_file() for name in LIBRARIES)
        if not self.is_installed:
            telemetry.info("graphiql_from_cdn", next="run tools/graphiql/install.py to have it without internet")

    def page(self, request: Request) -> Response:
        """The page for a browser, with the development token in it when the browser came by a local name."""
        if not self.is_installed:
            return _html(get_graphql_ide_html(graphql_ide="graphiql"), CDN_POLICY)
        page = (STATIC_PATH / "index.html").read_text(encoding="utf-8")
        return _html(page.replace("{{token}}", escape(self._token_for(request), quote=True)), PAGE_POLICY)

    def _token_for(self, request: Request) -> str:
        # A page of a foreign name that points to this machine (DNS rebinding) must not be able to read the token.
        if self._token_path is None or request.url.hostname not in LOCAL_HOSTS:
            return ""
        try:
            return self._token_path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            return ""


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
