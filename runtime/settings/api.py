"""What clients of the API may do: limits of HTTP, of websockets and of GraphQL documents."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from runtime.settings.group import Count, Seconds, SettingsGroup

# Neither the segments . and .. nor an empty one, which browsers would remove.
_ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", re.ASCII)


class HttpSettings(SettingsGroup):
    """HTTP connections and requests, in one API process."""

    root_path: str = Field(
        "", description="Path under which a proxy shows the API, as /fillwire; the proxy may pass it on or leave it out"
    )
    http_connections_max: Count = Field(2_000, description="In one API process; beyond, idle ones are cut, or 503")
    http_request_timeout_seconds: Seconds = Field(10.0, description="How long a request may take to arrive whole")
    http_keep_alive_seconds: Seconds = Field(75.0, description="How long a connection stays open between two requests")
    http_head_max_bytes: Count = Field(65_536, description="Address and headers of a request; more get 431")
    http_headers_max: Count = Field(100, description="Headers of a request; more get 431")
    request_body_max_bytes: Count = 65_536
    requests_per_second_max: Count = Field(300, description="Of an account, in one API process; more get 429")
    requests_burst_max: Count = Field(1_000, description="Highest number in one burst")
    requests_unauthenticated_per_second_max: Count = Field(
        50, description="Of all requests without a valid token; more are answered a second later"
    )
    queries_at_once_per_account_max: Count = Field(
        4, description="Concurrent queries of an account in one API process; more wait"
    )
    waits_per_account_max: Count = Field(
        1_000, description="Orders of an account with waitMs in one API process; more are answered as stored, unwaited"
    )
    query_slot_max_objects: Count = Field(
        20, description="A query whose answer could hold more counts as several of those, one that holds many as all"
    )
    request_accounts_max: Count = Field(10_000, description="Accounts whose rates one API process remembers")
    operation_timeout_seconds: Seconds = 15.0
    get_queries_allowed: bool = Field(True, description="Whether queries, never mutations, may be sent by GET")

    @field_validator("root_path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and _ROOT_PATH.fullmatch(path) is None:
            raise ValueError("must be a path like /fillwire, with one slash before each part, of A-Z a-z 0-9 - . _ ~")
        return path


class WebSocketSettings(SettingsGroup):
    """Websockets, their messages and their subscriptions, in one API process."""

    sockets_max: Count = Field(10_000, description="Websockets that one API process holds; more are refused with 503")
    sockets_waiting_max: Count = Field(1_000, description="Of these, not yet introduced; the oldest closes with 4408")
    sockets_per_account_max: Count = Field(100, description="In one API process; one more closes with 1013")
    socket_init_timeout_seconds: Seconds = Field(10.0, description="Without connection_init then it closes with 4408")
    socket_message_max_bytes: Count = Field(65_536, description="A larger message closes its socket with 1009")
    socket_messages_per_second_max: Count = Field(200, description="More close the socket with 4429; pings count too")
    socket_messages_burst_max: Count = Field(400, description="Most that may come in one burst")
    socket_ping_seconds: Seconds = Field(
        15.0, description="Pause between two pings, and time for the answer to each; without one it closes with 1001"
    )
    sockets_opened_per_second_max: Count = Field(
        100, description="In one API process; more wait, round-robin over their addresses"
    )
    subscriptions_per_socket_max: Count = 100
    order_completion_wait_seconds: Seconds = Field(
        30.0,
        description="How long orderStatus continues after an end with less than the exchange counts as filled",
    )
    subscriber_send_timeout_seconds: Seconds = Field(10.0, description="Then a peer that does not read is disconnected")
    api_drain_seconds: Seconds = Field(3.0, description="Over how long a stopping API spreads the end of its sockets")


class DocumentSettings(SettingsGroup):
    """Limits of a GraphQL document, which documents are cached, and which ones are executed."""

    documents_new_per_second_max: Count = Field(
        5, description="Documents never seen before, of an account, in one API process; more get 429"
    )
    documents_new_burst_max: Count = Field(50, description="Highest number in one burst")
    document_max_characters: Count = 15_000
    document_max_tokens: Count = 1_000
    document_max_depth: Count = Field(12, description="Levels of fields in one another")
    document_max_nesting: Count = Field(50, description="Selections in one another, those of fragments included")
    document_max_aliases: Count = 30
    document_max_directives: Count = 50
    document_max_repeats: Count = Field(50, description="Fields in a selection with another of the same name")
    document_max_orders: Count = Field(10, description="Times placeOrder in one document")
    document_max_errors: Count = Field(10, description="Mistakes after which a document is not read any further")
    document_cost_max_objects: Count = Field(5_000, description="Objects that one answer could hold, pages multiplied")
    document_cache_max_documents: Count = Field(
        500, description="Parsed documents cached; the same number of refused ones too"
    )
    document_cache_max_characters: Count = 500_000
    compiled_operations: bool = Field(True, description="Whether operations are compiled, or all run by Strawberry")
    shared_results_max: Count = Field(1_000, description="Rendered changes that one process keeps for its subscribers")
    documents: Literal["any", "apq", "trusted"] = Field(
        "any", description="any; apq: by hash too (Apollo); trusted: only those of TRUSTED_DOCUMENTS_FILE"
    )
    trusted_documents_file: str | None = Field(None, description="Manifest of documents, Relay's or Apollo's format")
    persisted_max_documents: Count = Field(1_000, description="Documents that clients of one process register by hash")
    persisted_max_characters: Count = 1_000_000

    @model_validator(mode="after")
    def _trusted_documents_are_named(self) -> Self:
        if self.documents == "trusted" and self.trusted_documents_file is None:
            raise ValueError("DOCUMENTS=trusted needs TRUSTED_DOCUMENTS_FILE")
        return self
