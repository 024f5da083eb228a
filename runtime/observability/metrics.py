"""The Prometheus series behind the domain's telemetry: name, kind, help, labels and buckets of each, in one table."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import Metric as Family

from domain.ports.telemetry import Metric

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_ITEMS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The Prometheus series of one metric."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Sequence[str] = ()
    buckets: Sequence[float] = _SECONDS


def _counter(help_text: str, *labels: str) -> Series:
    return Series(kind="counter", help=help_text, labels=labels)


def _gauge(help_text: str) -> Series:
    return Series(kind="gauge", help=help_text)


def _seconds(help_text: str, *labels: str) -> Series:
    return Series(kind="histogram", help=help_text, labels=labels)


def _items(help_text: str) -> Series:
    return Series(kind="histogram", help=help_text, buckets=_ITEMS)


SERIES: Mapping[Metric, Series] = {
    Metric.OPERATION_SECONDS: _seconds("Duration of GraphQL operations.", "type"),
    Metric.UNEXPECTED_ERRORS: _counter("Unexpected errors, masked for the client; the log has each by its id."),
    Metric.SOCKETS: _gauge("Open GraphQL websockets."),
    Metric.REQUESTS_REFUSED: _counter(
        "GraphQL requests beyond a rate: requests, new documents, unauthenticated.", "limit"
    ),
    Metric.SOCKETS_REFUSED: _counter("GraphQL websockets refused by a limit: process, waiting, account.", "limit"),
    Metric.SOCKETS_CLOSED: _counter(
        "GraphQL websockets closed because of their token or a restart: expired, revoked, key_gone, restart.", "reason"
    ),
    Metric.TOKENS_REVOKED: _counter("Revocations of tokens by operators, made in this process."),
    Metric.REVOCATIONS: _gauge("Revocations of tokens that this process knows; each ends when no token can be valid."),
    Metric.CONNECTIONS_REFUSED: _counter("HTTP connections beyond the limit: refused, or reset to make room."),
    Metric.TOKEN_KEYS: _gauge("Keys of the tokens' issuer that are in force."),
    Metric.TOKEN_KEYS_SKIPPED: _gauge("Entries of the issuer's key set that cannot be used."),
    Metric.TOKEN_KEYS_AGE_SECONDS: _gauge("Age of the keys in force when they were last to be read; 0 when they were."),
    Metric.REQUESTS_ABANDONED: _counter("GraphQL requests whose client disconnected before they had arrived whole."),
    Metric.REQUESTS_MALFORMED: _counter("Requests that HTTP does not allow: answered 400 or 431, or reset."),
    Metric.ORDERS_STORED: _counter("Orders stored in the database."),
    Metric.ORDERS_REPLAYED: _counter("Requests with a known client order id, answered with the stored order."),
    Metric.ORDERS_DENIED: _counter("Orders denied before they were stored.", "code"),
    Metric.ORDERS_REFUSED: _counter("Orders that the database could not take; nothing was stored.", "cause"),
    Metric.STORE_BATCH_SIZE: _items("Orders stored by one statement."),
    Metric.TRADING_HALTED: _gauge("Open trading halts, of one account or of all accounts."),
    Metric.SUBMISSION_ATTEMPTS: _counter("Attempts to submit an order to the venue.", "outcome"),
    Metric.ORDERS_PLACED: _counter("Orders that the venue accepted."),
    Metric.SUBMISSIONS_RETRIED: _counter("Attempts that another attempt follows."),
    Metric.ORDERS_IN_DOUBT: _counter("Orders that were sent and whose outcome was unknown."),
    Metric.ORDERS_FAILED: _counter("Orders that failed after the last attempt."),
    Metric.ORDERS_REJECTED: _counter("Orders that the venue rejected."),
    Metric.ORDERS_REVIVED: _counter("Orders that were final and turned out to be live at the venue."),
    Metric.VENUE_CIRCUIT: _gauge("The venue's circuit breaker: 0 closed, 1 probing with one order, 2 open."),
    Metric.VENUE_CIRCUIT_OPENED: _counter("Times the circuit breaker opened after a run of failures."),
    Metric.VENUE_PAUSES: _counter("Times the venue's rate limit paused all workers."),
    Metric.RATE_LIMIT_LEFT: _gauge("Requests that the venue's rate limit leaves in the present window."),
    Metric.RATE_LIMIT_WAIT_SECONDS: _seconds("How long requests waited for the venue's rate limit.", "priority"),
    Metric.RATE_LIMIT_HELD_BACK: _counter("Requests not made because of the venue's rate limit.", "priority"),
    Metric.CANCEL_ATTEMPTS: _counter("Cancel requests sent to the venue.", "outcome"),
    Metric.STORED_TO_PLACED_SECONDS: _seconds("Time from storing an order to the venue's acceptance."),
    Metric.OLDEST_DUE_SECONDS: _gauge("Seconds for which the most overdue order has been due; 0 when none is."),
    Metric.JOB_SECONDS: _seconds("Duration of jobs.", "job"),
    Metric.JOB_QUEUE_FAILURES: _counter("Failures of Redis as the job queue, by reason.", "reason"),
    Metric.WAKE_UPS_FAILED: _counter("Orders whose wake-up was dropped; the sweeper submits them."),
    Metric.JOBS_REFUSED: _counter("Entries of the job queue that are no wake-up, and were deleted."),
    Metric.SWEPT_ORDERS: _counter("Overdue orders that the sweeper claimed."),
    Metric.RECONCILED_ORDERS: _counter("Open orders compared with the venue's list."),
    Metric.REPORTS_RECORDED: _counter("Reports of the venue applied to orders."),
    Metric.REPORTS_UNREADABLE: _counter("Reports that could not be parsed; stored in dead_letters."),
    Metric.REPORTS_EXTERNAL: _counter("Reports about external orders: on the venue's account, not placed by Fillwire."),
    Metric.ORDERS_EXTERNAL: _counter("External orders read in the venue's list of open orders."),
    Metric.VENUE_VALUES_UNKNOWN: _counter("Values of the venue that its documents do not name, by field.", "field"),
    Metric.RECORD_BATCH_SIZE: _items("Reports recorded by one statement."),
    Metric.RECORD_SECONDS: _seconds("Duration of recording a batch of reports."),
    Metric.VENUE_LAG_SECONDS: _seconds("Time from the venue's timestamp to the commit, for a batch's newest report."),
    Metric.CLOCK_SKEW_SECONDS: _gauge("Seconds by which this host's clock is ahead of the venue's; below 0 behind."),
    Metric.INGEST_LEADER: _gauge("1 in the ingest process that leads, 0 in those that stand by."),
    Metric.STREAM_CONNECTED: _gauge("1 while the venue's execution stream is connected."),
    Metric.STREAM_RECONNECTS: _counter("Sessions of the execution stream that ended."),
    Metric.CATCH_UPS: _counter("Catch-ups over the venue's REST API.", "cause"),
    Metric.FILL_REPAIRS: _counter("Orders read by their own id because their fills did not add up."),
    Metric.ANOMALIES: _counter("Anomalies of orders: overfills, missed fills, fills after the end and others.", "kind"),
    Metric.CHANGES_PUBLISHED: _counter("Changes published to the API processes."),
    Metric.PUBLISHES_FAILED: _counter("Changes whose message was dropped; subscribers read them from the database."),
    Metric.SUBSCRIBERS: _gauge("Subscriptions of this process."),
    Metric.DELIVERIES: _counter("Changes delivered to subscribers."),
    Metric.REREADS: _counter("Reads of changes from the database for subscribers.", "cause"),
    Metric.MESSAGES_REFUSED: _counter(
        "Published messages that were ignored: unsigned, signature, size; or content, which the database supplies.",
        "cause",
    ),
    Metric.POSITIONS_AHEAD: _counter(
        "Positions of accounts beyond what the database has: announced by a message, or delivered before a restore.",
        "cause",
    ),
    Metric.AUDIT_SEALED: _counter("Changes of orders that were sealed in their account's hash chain."),
    Metric.AUDIT_SEAL_LAG_SECONDS: _gauge("How long ago everything that was committed was sealed."),
    Metric.ALERTS: _counter("Events that are alerts, with or without ALERT_URLS.", "kind"),
    Metric.ALERT_MESSAGES: _counter("Messages to the channels of ALERT_URLS: sent, failed, dropped.", "outcome"),
}

TASKS = "fillwire_tasks"

SeriesType = TypeVar("SeriesType", Counter, Gauge, Histogram)
SeriesKey = tuple[str, ...]
"""A metric and its labels' values. No metric has two labels, so their order does not matter."""


class Metrics:
    """The series of one process in a separate registry, with its tasks, open files and memory."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        tasks = Gauge(TASKS, "Tasks of the event loop that have not ended.", registry=self.registry)
        tasks.set_function(_count_tasks)
        self._series: dict[Metric, Counter | Gauge | Histogram] = {
            metric: _make(metric, series, self.registry) for metric, series in SERIES.items()
        }
        self._counters: dict[SeriesKey, Counter] = {}
        self._gauges: dict[SeriesKey, Gauge] = {}
        self._histograms: dict[SeriesKey, Histogram] = {}

    def counter(self, metric: Metric, labels: Mapping[str, str]) -> Counter:
        """Return the counter with these labels."""
        known = self._counters.get(key := (metric, *labels.values()))
        return known or self._counters.setdefault(key, self._find(Counter, metric, labels))

    def gauge(self, metric: Metric, labels: Mapping[str, str]) -> Gauge:
        """Return the gauge with these labels."""
        known = self._gauges.get(key := (metric, *labels.values()))
        return known or self._gauges.setdefault(key, self._find(Gauge, metric, labels))

    def histogram(self, metric: Metric, labels: Mapping[str, str]) -> Histogram:
        """Return the histogram with these labels."""
        known = self._histograms.get(key := (metric, *labels.values()))
        return known or self._histograms.setdefault(key, self._find(Histogram, metric, labels))

    def _find(self, kind: type[SeriesType], metric: Metric, labels: Mapping[str, str]) -> SeriesType:
        found = self._series[metric]
        assert isinstance(found, kind), metric  # noqa: S101 - what only a bug could break
        return found.labels(**labels) if labels else found


async def render(registry: CollectorRegistry) -> bytes:
    """Return the series as Prometheus text.

    It takes some milliseconds: it yields to other tasks between two series.
    """
    parts: list[bytes] = []
    for family in registry.collect():
        parts.append(generate_latest(_OneFamily(family)))
        await asyncio.sleep(0)
    return b"".join(parts)


class _OneFamily(CollectorRegistry):
    """A registry for the renderer, of one series with all of its labels."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[Family]:
        yield self._family


def _count_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # Called outside of the event loop.


def _make(metric: Metric, series: Series, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = f"fillwire_{metric}"
    match series.kind:
        case "counter":
            return Counter(name, series.help, series.labels, registry=registry)
        case "gauge":
            return Gauge(name, series.help, series.labels, registry=registry)
        case "histogram":
            return Histogram(name, series.help, series.labels, registry=registry, buckets=series.buckets)
