"""How to reach the venue, and how long and how much of it to bear."""

from dataclasses import dataclass, field

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaSettings:
    """`url` is the REST address without /v2, `stream_url` the whole address of the stream. `ca_file` holds the
    authorities that vouch for both, in place of this machine's; `proxy` is the http:// address through which both go.

    `keepalive_seconds` is how long an idle connection stays open for the next request; it should be shorter than the
    venue's own limit, because a request on a connection that the venue is just closing has an unknown outcome.
    """

    url: str
    stream_url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout_seconds: float = 3.0
    request_timeout_seconds: float = 10.0
    keepalive_seconds: float = 30.0
    connections_max: int = 64
    response_max_bytes: int = 4 * MEBIBYTE
    # The broker's list of all its assets is about 15 MB.
    assets_max_bytes: int = 64 * MEBIBYTE
    pages_max: int = 10_000
    rate_limit_wait_max_seconds: float = 60.0

    stream_open_timeout_seconds: float = 5.0
    stream_answer_timeout_seconds: float = 5.0
    stream_close_timeout_seconds: float = 1.0
    stream_ping_seconds: float = 5.0
    stream_message_max_bytes: int = MEBIBYTE
    stream_queue_max_frames: int = 1024
