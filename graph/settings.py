"""The limits and switches of the API, named with their unit last; `runtime` fills them from the environment."""

from dataclasses import dataclass
from pathlib import Path

from domain.reading import PAGE_MAX_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """What the API may be asked for and for how long. `max_attempts` only repeats the placing budget to clients."""

    max_attempts: int = 5

    operation_timeout_seconds: float = 20.0
    body_max_bytes: int = 131_072
    page_default_rows: int = 50
    page_max_rows: int = PAGE_MAX_ROWS

    max_depth: int = 10
    max_aliases: int = 15
    max_directives: int = 50
    max_repeats: int = 50
    max_tokens: int = 2_000
    max_document_characters: int = 15_000
    document_cache_max_documents: int = 500
    document_cache_max_characters: int = 500_000

    subscriptions_per_socket: int = 100
    socket_init_timeout_seconds: float = 10.0
    socket_send_timeout_seconds: float = 10.0

    allowed_origins: tuple[str, ...] = ()
    is_development: bool = False
    development_token_path: Path | None = None
