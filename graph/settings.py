"""The limits and switches of the API, named with their unit last; `runtime` fills them from the environment."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from domain.model.order_query import PAGE_MAX_ROWS


class DocumentPolicy(StrEnum):
    """Which documents are run: any, any and by hash too (Apollo's automatic persisted queries), or a manifest's."""

    ANY = "any"
    APQ = "apq"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedDocument:
    """One entry of a manifest. `name` is for people: the operation's name, or the id where the manifest has none."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """Limits of requests to the API and their durations. `max_attempts` only shows the placing budget to clients."""

    max_attempts: int = 5

    requests_per_second: int = 10_000
    requests_burst: int = 10_000
    unauthenticated_per_second: int = 1_000
    refused_after_seconds: float = 1.0
    """The delay of a refusal. A client that honours Retry-After loses nothing by it."""
    new_documents_per_second: int = 10_000
    new_documents_burst: int = 10_000
    rated_accounts_max: int = 10_000
    queries_at_once: int = 4
    waits_per_account: int = 1_000
    query_slot_objects: int = 20

    operation_timeout_seconds: float = 20.0
    body_max_bytes: int = 131_072
    page_default_rows: int = 50
    page_max_rows: int = PAGE_MAX_ROWS

    get_queries_allowed: bool = False

    max_depth: int = 10
    max_nesting: int = 50
    max_aliases: int = 15
    max_directives: int = 50
    max_repeats: int = 50
    max_orders: int = 10
    max_cost_objects: int = 5_000
    max_errors: int = 10
    max_tokens: int = 2_000
    max_document_characters: int = 15_000
    document_cache_max_documents: int = 500
    document_cache_max_characters: int = 500_000

    compiled_operations: bool = True
    shared_results_max: int = 1_000

    documents: DocumentPolicy = DocumentPolicy.ANY
    trusted_documents: tuple[TrustedDocument, ...] = ()
    persisted_max_documents: int = 1_000
    persisted_max_characters: int = 1_000_000

    sockets_max: int = 10_000
    sockets_waiting_max: int = 1_000
    sockets_per_account: int = 100
    subscriptions_per_socket: int = 100
    socket_init_timeout_seconds: float = 10.0
    socket_send_timeout_seconds: float = 10.0

    allowed_origins: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ("*",)
    root_path: str = ""
    is_development: bool = False
    graphiql_allowed: bool = False
    development_token_path: Path | None = None

    @property
    def shows_graphiql(self) -> bool:
        """Whether browsers get GraphiQL, and introspection for it."""
        return self.is_development or self.graphiql_allowed
