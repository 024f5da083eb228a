"""The limits of publishing and delivering, in the units that their names end with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherSettings:
    """Bounds of the changes that wait to be published. Changes beyond them are dropped: the database supplies them.

    Up to `batch_max_changes` are sent together. A message has no more changes than a subscriber's buffer. For
    `pause_seconds` after a send the next changes are collected, unless a full batch waits already.
    """

    buffer_max_changes: int = 20_000
    batch_max_changes: int = 1_000
    message_max_changes: int = 200
    pause_seconds: float = 0.0
    connect_timeout_seconds: float = 1.0
    send_timeout_seconds: float = 1.0
    flush_timeout_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Settings of a process's subscriptions.

    The connection: pinged every `ping_seconds`, dead after `silence_seconds`, reopened after a delay that doubles up to
    `reconnect_delay_max_seconds`. An empty shard is unsubscribed after `linger_seconds`.

    Reading missed changes: `settle_seconds` before a gap is read, since messages of two publishers may arrive in any
    order; pages of `page_max_changes`, `reads_at_once` at a time; not again within `unproved_pause_seconds` where more
    changes were announced than the database has; positions compared every `comparison_seconds`, and every
    `comparison_without_link_seconds` while there is no connection to Redis.
    """

    connect_timeout_seconds: float = 2.0
    ping_seconds: float = 1.0
    silence_seconds: float = 3.0
    reconnect_delay_seconds: float = 0.05
    reconnect_delay_max_seconds: float = 2.0
    linger_seconds: float = 10.0

    settle_seconds: float = 0.015
    unproved_pause_seconds: float = 1.0
    page_max_changes: int = 500
    reads_at_once: int = 8
    read_retry_delay_seconds: float = 0.1
    read_retry_delay_max_seconds: float = 2.0
    comparison_seconds: float = 5.0
    comparison_without_link_seconds: float = 0.3
    comparison_max_accounts: int = 5_000

    early_max_changes: int = 1_000
    subscriber_buffer_max_changes: int = 256
