"""Every setting, limit and time-out, with its unit as the last word of its name. Read from the environment, once.

`python -m runtime settings` prints them all, secrets masked. A process refuses to start on a value that is wrong.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.model.limits import ORDERS_PER_SECOND_MAX
from runtime.processes.crash_points import read_crash_at
from runtime.settings.addresses import exchange_address, is_address, origin

HOW_TO_SET = "Set it in the environment, or use ./dev up, which sets everything."

_BEFORE_ADDRESS = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://|$)")

_SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "redis_url": ("redis", "rediss", "unix"),
    "exchange_url": ("http", "https"),
    "exchange_stream_url": ("ws", "wss"),
}

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class SettingsError(Exception):
    """The environment holds something that cannot be used; the message says what to mend."""


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, env_ignore_empty=True)

    # Where everything is
    database_url: SecretStr | None = Field(None, description="PostgreSQL: postgresql://user:password@host:port/name")
    redis_url: SecretStr | None = Field(None, description="Redis or Valkey: redis://:password@host:port/0")
    host: str = Field("127.0.0.1", description="Address that the API, the simulated exchange and the probes listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of /healthz, /readyz, /metrics; the API has them on PORT too; 0: none"
    )
    fillwire_env: Literal["development", "production"] = Field(
        "production", description="development allows GraphiQL and introspection"
    )
    graphiql_allowed: bool = Field(
        default=False, description="GraphiQL and introspection in production too; the page holds no token there"
    )
    log_format: Literal["auto", "plain", "json"] = Field("auto", description="auto: plain on a terminal, else JSON")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_gather_seconds: Seconds = Field(10.0, description="How often a line that repeats itself is said, with a count")
    crash_at: str | None = Field(None, description="Fault runs: where to crash, name:probability, separated by commas")

    # Who may come in
    token_secret: SecretStr | None = Field(None, description="HS256 secret of the tokens, 32 bytes or more")
    token_jwks_file: str | None = Field(None, description="File with the JWKS of the tokens' issuer")
    token_jwks_url: str | None = Field(None, description="Address of the JWKS of the tokens' issuer")
    token_audience: str | None = Field(None, description="Required `aud` of a token, when set")
    token_issuer: str | None = Field(None, description="Required `iss` of a token, when set")
    verified_tokens_max: Count = Field(10_000, description="Valid tokens that one API process remembers for a minute")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of front ends on other addresses, separated by commas"
    )
    local_token_file: str | None = Field(None, description="Development: the token that GraphiQL is prefilled with")

    # The exchange
    exchange_url: str = Field("http://127.0.0.1:8001", description="REST address of the exchange, without /v2")
    exchange_stream_url: str = Field("ws://127.0.0.1:8001/stream", description="Its execution stream")
    exchange_key: SecretStr = Field(SecretStr("simulator"), description="Key id at the exchange")
    exchange_secret: SecretStr = Field(SecretStr("simulator"), description="Secret at the exchange")
    exchange_port: int = Field(8001, ge=0, le=65535, description="Port of the simulated exchange")
    exchange_journal_file: str | None = Field(None, description="Simulated exchange: where its book outlives a restart")
    exchange_connect_timeout_seconds: Seconds = 2.0
    exchange_connections_max: Count = 200

    # Placing
    placement_max_attempts: Count = Field(5, description="Attempts to place an order before it is FAILED")
    placement_backoff_seconds: Seconds = Field(0.5, description="Pause before the second attempt; doubled and jittered")
    placement_backoff_max_seconds: Seconds = 30.0
    placement_timeout_seconds: Seconds = Field(10.0, description="How long the exchange may take to answer")
    placement_settle_seconds: Seconds = Field(5.0, description="How long the exchange may hide a fresh order")
    placement_slots: Count = Field(128, description="Attempts that one worker makes at once")
    placement_max_age_seconds: Seconds | None = Field(None, description="Older orders are FAILED, not sent any more")
    placement_circuit_failures: Count = Field(20, description="Failures in a row that open the circuit of all workers")
    placement_circuit_open_seconds: Seconds = Field(5.0, description="Then one order is tried, and again each so often")
    cancel_retry_seconds: Seconds = 1.0
    cancel_confirm_seconds: Seconds = Field(5.0, description="How long the stream may take to confirm a cancel")

    # Jobs
    worker_jobs_at_once: Count = Field(64, description="SAQ jobs that one worker runs at once")
    worker_dequeue_timeout_seconds: Seconds = 2.0
    wake_up_timeout_seconds: Seconds = Field(0.5, description="How long Redis may take before a wake-up is dropped")
    sweep_every_seconds: Seconds = 1.0
    sweep_overdue_seconds: Seconds = Field(2.5, description="How overdue an order is when the sweeper takes it over")
    reconcile_every_seconds: Seconds = 60.0
    reconcile_silent_seconds: Seconds = Field(30.0, description="Silence after which an open order is looked up")
    reconcile_look_ups_max: Count = Field(500, description="Look-ups in one run of the reconciler")
    stop_within_seconds: Seconds = Field(12.0, description="How long running work may take to finish at a stop")

    # Following the stream
    ingest_buffer_reports_max: Count = 200_000
    ingest_batch_reports_max: Count = 500
    ingest_batch_within_ms: Seconds = Field(
        5.0, description="How long reports gather at most while a batch is recorded; else they gather for no time"
    )
    ingest_retry_seconds: Seconds = 0.5
    stream_reconnect_seconds: Seconds = 0.2
    stream_reconnect_max_seconds: Seconds = 3.0
    stream_session_min_seconds: Seconds = Field(5.0, description="A shorter session makes the next pause longer")
    stream_silence_seconds: Seconds = Field(
        30.0, description="Silence with open orders after which the exchange is asked"
    )
    ingest_lease_seconds: Seconds = Field(5.0, description="How long a leader that died keeps the others from leading")
    ingest_lease_renew_seconds: Seconds = 1.0
    ingest_standby_ask_seconds: Seconds = Field(0.5, description="How often who stands by asks whether it may lead")
    unknown_order_wait_seconds: Seconds = Field(30.0, description="How long a report waits for its order to be stored")
    unknown_order_reports_max: Count = 10_000
    unknown_order_retry_seconds: Seconds = 0.5
    catch_up_every_seconds: Seconds = 60.0
    catch_up_unheard_seconds: Seconds = Field(
        5.0, description="How often the exchange is asked while there is no stream"
    )
    catch_up_pause_seconds: Seconds = 1.0
    catch_up_overlap_seconds: Seconds = Field(60.0, description="How far each catch-up reaches back before the last")
    catch_up_first_seconds: Seconds = Field(86_400.0, description="How far the very first catch-up reaches back")

    # The database
    database_pool_connections_max: Count = 10
    database_connect_timeout_seconds: Seconds = 1.0
    database_statement_timeout_seconds: Seconds = 5.0
    database_call_timeout_seconds: Seconds = Field(1.8, description="How long a call may take before Unavailable")
    database_lock_timeout_seconds: Seconds = 1.5
    accept_batch_orders_max: Count = 200
    accept_waiting_orders_max: Count = Field(10_000, description="Requests that may wait to be stored")
    instrument_cache_seconds: Seconds = 5.0

    # Pre-trade limits
    orders_per_second_max: int = Field(
        0,
        ge=0,
        le=ORDERS_PER_SECOND_MAX,
        description="Orders of an account whose limits name no rate; 0: any number. The same in every API process",
    )
    limits_cache_seconds: Seconds = Field(1.0, description="How long limits and last prices are believed")
    prices_saved_every_seconds: Seconds = Field(0.5, description="How often the prices of new executions are saved")

    # Live updates
    publish_timeout_seconds: Seconds = 1.0
    publish_waiting_changes_max: Count = 50_000
    positions_compared_every_seconds: Seconds = 5.0
    subscriber_buffer_changes_max: Count = 256
    subscriber_send_timeout_seconds: Seconds = Field(10.0, description="A peer that does not read is cut off after")
    api_drain_seconds: Seconds = Field(3.0, description="Over how long a stopping API spreads the end of its sockets")
    subscriptions_per_socket_max: Count = 100

    # Websockets
    sockets_max: Count = Field(10_000, description="Websockets that one API process holds; more are refused with 503")
    sockets_waiting_max: Count = Field(1_000, description="Of these, not yet introduced; the oldest closes with 4408")
    sockets_per_account_max: Count = Field(100, description="In one API process; one more closes with 1013")
    socket_init_timeout_seconds: Seconds = Field(10.0, description="Without connection_init then it closes with 4408")
    socket_message_max_bytes: Count = Field(65_536, description="A larger message closes its socket with 1009")
    socket_messages_per_second_max: Count = Field(200, description="More close the socket with 4429; pings count too")
    socket_messages_burst_max: Count = Field(400, description="So many may come at once")
    sockets_opened_per_second_max: Count = Field(
        100, description="In one API process; more wait, those of different addresses by turns"
    )

    # Requests
    requests_per_second_max: Count = Field(300, description="Of an account, in one API process; more get 429")
    requests_burst_max: Count = Field(1_000, description="So many may come at once")
    requests_unauthenticated_per_second_max: Count = Field(
        50, description="Of all strangers together; more are answered a second later"
    )
    queries_at_once_per_account_max: Count = Field(
        4, description="At work in one API process; the account's others wait for them"
    )
    request_accounts_max: Count = Field(10_000, description="Accounts whose rates one API process remembers")
    request_body_max_bytes: Count = 65_536
    operation_timeout_seconds: Seconds = 15.0
    documents_new_per_second_max: Count = Field(
        5, description="Documents never seen before, of an account, in one API process; more get 429"
    )
    documents_new_burst_max: Count = Field(50, description="So many may come at once")
    document_max_characters: Count = 15_000
    document_max_tokens: Count = 1_000
    document_max_depth: Count = Field(12, description="Levels of fields in one another")
    document_max_nesting: Count = Field(50, description="Selections in one another, those of fragments included")
    document_max_aliases: Count = 30
    document_max_directives: Count = 50
    document_max_repeats: Count = Field(50, description="Fields beside another of the same name")
    document_max_orders: Count = Field(10, description="Times placeOrder in one document")
    document_max_errors: Count = Field(10, description="Mistakes after which a document is not read any further")
    document_cost_max_objects: Count = Field(5_000, description="Objects that one answer could hold, pages multiplied")
    document_cache_max_documents: Count = Field(500, description="Texts read once and kept; so many refused ones too")
    document_cache_max_characters: Count = 500_000
    compiled_operations: bool = Field(True, description="Whether operations are compiled, or all run by Strawberry")
    shared_results_max: Count = Field(1_000, description="Rendered changes that one process keeps for its subscribers")
    get_queries_allowed: bool = Field(False, description="Whether queries, never mutations, may be sent by GET")
    documents: Literal["any", "apq", "trusted"] = Field(
        "any", description="any; apq: by hash too (Apollo); trusted: only those of TRUSTED_DOCUMENTS_FILE"
    )
    trusted_documents_file: str | None = Field(None, description="Manifest of documents, Relay's or Apollo's format")
    persisted_max_documents: Count = Field(1_000, description="Documents that clients of one process register by hash")
    persisted_max_characters: Count = 1_000_000
    http_connections_max: Count = Field(2_000, description="In one API process; beyond, idle ones are cut, or 503")
    http_request_timeout_seconds: Seconds = Field(10.0, description="How long a request may take to arrive whole")
    http_keep_alive_seconds: Seconds = Field(75.0, description="How long a connection is kept between two requests")
    http_head_max_bytes: Count = Field(65_536, description="Address and headers of a request; more get 431")
    http_headers_max: Count = Field(100, description="Headers of a request; more get 431")

    # Telling people
    alert_urls: SecretStr | None = Field(None, description="Where alerts go: addresses of apprise, comma separated")
    alert_repeat_seconds: Seconds = Field(3_600.0, description="How long the same case is not told again")
    alert_gather_seconds: Seconds = Field(3.0, description="How long a burst is gathered into one message; doubles")
    alert_gather_max_seconds: Seconds = 300.0
    alert_timeout_seconds: Seconds = Field(15.0, description="How long a channel may take for one message")
    alert_max_attempts: Count = Field(5, description="Attempts to send a message to one channel")
    alert_retry_seconds: Seconds = Field(2.0, description="Pause before the second attempt; doubles")
    alert_waiting_messages_max: Count = Field(100, description="Messages that may wait for one channel")
    alert_in_doubt_seconds: Seconds = Field(120.0, description="Age at which an order in doubt is an alert")
    alert_pending_seconds: Seconds = Field(120.0, description="Age at which an order not yet sent is an alert")
    alert_stream_down_seconds: Seconds = Field(30.0, description="How long the stream may be down before an alert")
    alert_check_every_seconds: Seconds = Field(15.0, description="How often a worker looks for such orders")

    @field_validator("database_url", "redis_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """A process must not start, or fail with a traceback much later, on what can never be connected to."""
        schemes = _SCHEMES[str(info.field_name)]
        if value is not None and not is_address(value.get_secret_value(), schemes=schemes):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}, its port a number")
        return value

    @field_validator("exchange_url", "exchange_stream_url")
    @classmethod
    def _is_an_address_of_the_exchange(cls, value: str, info: ValidationInfo) -> str:
        """A process must not take orders that can never be sent, or sent only to an address that nobody meant."""
        return exchange_address(value, schemes=_SCHEMES[str(info.field_name)])

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """As browsers send them: what HTTP compares by letter and the websocket by meaning must be the same."""
        return tuple(origin(text) for text in value)

    @field_validator("crash_at")
    @classmethod
    def _crash_points_exist(cls, value: str | None) -> str | None:
        if value:
            read_crash_at(value)
        return value

    @model_validator(mode="after")
    def _keys_are_long_enough(self) -> Self:
        if self.token_secret is not None and len(self.token_secret.get_secret_value().encode()) < 32:  # noqa: PLR2004 - RFC 7518, 3.2
            raise ValueError("TOKEN_SECRET must be 32 bytes or longer (RFC 7518, section 3.2)")
        return self

    @model_validator(mode="after")
    def _leases_are_renewed_in_time(self) -> Self:
        if self.ingest_lease_seconds < 2 * self.ingest_lease_renew_seconds:
            raise ValueError("INGEST_LEASE_SECONDS must be at least twice INGEST_LEASE_RENEW_SECONDS")
        return self

    @model_validator(mode="after")
    def _trusted_documents_are_named(self) -> Self:
        if self.documents == "trusted" and self.trusted_documents_file is None:
            raise ValueError("DOCUMENTS=trusted needs TRUSTED_DOCUMENTS_FILE")
        return self

    @property
    def is_development(self) -> bool:
        """Whether GraphiQL and introspection are allowed."""
        return self.fillwire_env == "development"

    @property
    def placement_lease(self) -> timedelta:
        """How long an attempt holds its order: twice what one look-up, one send and one more look-up can take, since
        nothing is sent any more in a lease's second half."""
        return timedelta(seconds=2 * 3 * self.placement_timeout_seconds)

    def require(self, *names: str) -> None:
        """Raises SettingsError with a sentence for each of these that is not set."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError("\n".join(f"{name.upper()} is not set. {HOW_TO_SET}" for name in missing))

    @property
    def database_address(self) -> str:
        """DATABASE_URL, its password included. A process that uses it has required it."""
        assert self.database_url is not None  # noqa: S101 - what only a bug could break
        return self.database_url.get_secret_value()

    @property
    def redis_address(self) -> str:
        """REDIS_URL, its password included. A process that uses it has required it."""
        assert self.redis_url is not None  # noqa: S101 - what only a bug could break
        return self.redis_url.get_secret_value()

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """The addresses of ALERT_URLS, keys included. An address may hold commas: only one before `scheme://` parts."""
        given = self.alert_urls.get_secret_value() if self.alert_urls is not None else ""
        return tuple(part.strip() for part in _BEFORE_ADDRESS.split(given) if part.strip())

    def secrets(self) -> tuple[str, ...]:
        """The values that must never be seen in a log: keys, and the passwords inside addresses."""
        keys = (self.token_secret, self.exchange_secret, self.exchange_key)
        texts = [key.get_secret_value() for key in keys if key is not None]
        addresses = [url.get_secret_value() for url in (self.database_url, self.redis_url) if url is not None]
        texts += [urlsplit(address).password or "" for address in addresses]
        texts += self.alert_addresses
        return tuple(text for text in texts if text and text != "simulator")


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with a sentence for each thing to mend."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(problem)) for problem in error.errors())) from None


def _sentence(problem: dict[str, object]) -> str:
    location = problem["loc"]
    name = "_".join(str(part) for part in location).upper() if isinstance(location, tuple) else ""
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])
