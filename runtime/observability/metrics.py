"""The Prometheus series behind the domain's telemetry: name, kind, help, labels and buckets of each, in one table."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from domain.ports.telemetry import Metric

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_ITEMS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How one metric is kept."""

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
    Metric.OPERATION_SECONDS: _seconds("How long a GraphQL operation took.", "type"),
    Metric.UNEXPECTED_ERRORS: _counter("Errors that a client saw masked; the log has each by its id."),
    Metric.SOCKETS: _gauge("Open GraphQL websockets."),
    Metric.REQUESTS_REFUSED: _counter("GraphQL requests beyond a rate: requests, new documents, strangers.", "limit"),
    Metric.SOCKETS_REFUSED: _counter("GraphQL websockets refused by a limit: process, waiting, account.", "limit"),
    Metric.CONNECTIONS_REFUSED: _counter("HTTP connections beyond the limit: turned away, or cut to make room."),
    Metric.ORDERS_ACCEPTED: _counter("Orders stored for good."),
    Metric.ORDERS_REPLAYED: _counter("Repeats of a client order id that gave back the stored order."),
    Metric.ORDERS_DENIED: _counter("Orders denied by us before they were stored.", "code"),
    Metric.ACCEPT_BATCH_SIZE: _items("Orders stored by one statement."),
    Metric.TRADING_HALTED: _gauge("Open halts of trading, of one account or of all; 0 when nothing is halted."),
    Metric.PLACEMENT_ATTEMPTS: _counter("Attempts to place an order, by what they found out.", "outcome"),
    Metric.ORDERS_PLACED: _counter("Orders that the exchange took."),
    Metric.PLACEMENTS_RETRIED: _counter("Attempts that are followed by another."),
    Metric.ORDERS_IN_DOUBT: _counter("Orders whose placement had an unknown outcome."),
    Metric.ORDERS_FAILED: _counter("Orders given up after every attempt."),
    Metric.ORDERS_REJECTED: _counter("Orders that the exchange refused."),
    Metric.VENUE_CIRCUIT: _gauge("The circuit to the exchange: 0 closed, 1 probing with one order, 2 open."),
    Metric.VENUE_CIRCUIT_OPENED: _counter("Times the circuit opened after a run of failures."),
    Metric.VENUE_PAUSES: _counter("Times the exchange asked all workers to wait."),
    Metric.CANCEL_ATTEMPTS: _counter("Cancel requests sent, by the exchange's answer.", "outcome"),
    Metric.ACCEPT_TO_PLACED_SECONDS: _seconds("From storing an order to knowing that the exchange has it."),
    Metric.OLDEST_DUE_SECONDS: _gauge("How overdue the most overdue order is, in seconds; 0 when none is."),
    Metric.JOB_SECONDS: _seconds("How long a job took.", "job"),
    Metric.WAKE_UPS_FAILED: _counter("Orders whose wake-up was dropped; the sweeper finds them."),
    Metric.SWEPT_ORDERS: _counter("Orders that the sweeper took over."),
    Metric.RECONCILED_ORDERS: _counter("Open orders compared with the exchange's list."),
    Metric.REPORTS_RECORDED: _counter("Reports of the exchange applied to orders."),
    Metric.REPORTS_UNREADABLE: _counter("Reports that could not be understood; kept in dead_letters."),
    Metric.REPORTS_EXTERNAL: _counter("Reports about orders that were not placed here."),
    Metric.RECORD_BATCH_SIZE: _items("Reports recorded by one statement."),
    Metric.RECORD_SECONDS: _seconds("How long recording a batch took."),
    Metric.VENUE_LAG_SECONDS: _seconds("From the exchange's clock to the commit, for the newest report of a batch."),
    Metric.INGEST_LEADER: _gauge("1 in the ingest that leads, 0 in those that stand by."),
    Metric.STREAM_CONNECTED: _gauge("1 while the exchange's stream is followed."),
    Metric.STREAM_RECONNECTS: _counter("Sessions of the stream that ended."),
    Metric.CATCH_UPS: _counter("Times the exchange was asked for what was missed.", "cause"),
    Metric.ANOMALIES: _counter("What should not happen and did.", "kind"),
    Metric.CHANGES_PUBLISHED: _counter("Changes published to the API processes."),
    Metric.PUBLISHES_FAILED: _counter("Changes whose message was dropped; subscribers read them from the database."),
    Metric.SUBSCRIBERS: _gauge("Live subscribers of this process."),
    Metric.DELIVERIES: _counter("Changes given to subscribers."),
    Metric.REREADS: _counter("Times changes were read again from the database.", "cause"),
    Metric.ALERTS: _counter("What people are to be told of, whether or not ALERT_URLS is set.", "kind"),
    Metric.ALERT_MESSAGES: _counter("Messages to a channel of ALERT_URLS: sent, failed, dropped.", "outcome"),
}


TASKS = "fillwire_tasks"

Kept = TypeVar("Kept", Counter, Gauge, Histogram)
Label = tuple[str, ...]
"""A metric and its labels' values. No metric has two labels, so their order says nothing."""


class Metrics:
    """The series of one process, in a registry of its own; with what it holds: tasks, open files, memory."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        tasks = Gauge(TASKS, "Tasks of the event loop that have not ended.", registry=self.registry)
        tasks.set_function(_count_tasks)
        self._series: dict[Metric, Counter | Gauge | Histogram] = {
            metric: _make(metric, series, self.registry) for metric, series in SERIES.items()
        }
        self._counters: dict[Label, Counter] = {}
        self._gauges: dict[Label, Gauge] = {}
        self._histograms: dict[Label, Histogram] = {}

    def counter(self, metric: Metric, labels: Mapping[str, str]) -> Counter:
        """The counter with these labels."""
        known = self._counters.get(key := (metric, *labels.values()))
        return known or self._counters.setdefault(key, self._find(Counter, metric, labels))

    def gauge(self, metric: Metric, labels: Mapping[str, str]) -> Gauge:
        """The gauge with these labels."""
        known = self._gauges.get(key := (metric, *labels.values()))
        return known or self._gauges.setdefault(key, self._find(Gauge, metric, labels))

    def histogram(self, metric: Metric, labels: Mapping[str, str]) -> Histogram:
        """The histogram with these labels."""
        known = self._histograms.get(key := (metric, *labels.values()))
        return known or self._histograms.setdefault(key, self._find(Histogram, metric, labels))

    def _find(self, kind: type[Kept], metric: Metric, labels: Mapping[str, str]) -> Kept:
        found = self._series[metric]
        assert isinstance(found, kind), metric  # noqa: S101 - what only a bug could break
        return found.labels(**labels) if labels else found


def _count_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # Asked outside of the event loop: there is none.


def _make(metric: Metric, series: Series, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = f"fillwire_{metric}"
    match series.kind:
        case "counter":
            return Counter(name, series.help, series.labels, registry=registry)
        case "gauge":
            return Gauge(name, series.help, series.labels, registry=registry)
        case "histogram":
            return Histogram(name, series.help, series.labels, registry=registry, buckets=series.buckets)
