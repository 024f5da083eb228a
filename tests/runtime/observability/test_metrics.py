"""The metrics: each name of the domain has one series, and can be read as Prometheus text."""

import asyncio

from prometheus_client import generate_latest

from domain.ports.telemetry import Metric
from runtime.observability.logs import get_logger
from runtime.observability.metrics import SERIES, Metrics
from runtime.observability.telemetry import ProcessTelemetry


def test_every_metric_of_the_domain_has_its_series() -> None:
    assert set(SERIES) == set(Metric)


def test_every_metric_can_be_written_and_read() -> None:
    telemetry = ProcessTelemetry(Metrics(), get_logger())

    for metric, series in SERIES.items():
        labels = dict.fromkeys(series.labels, "x")
        match series.kind:
            case "counter":
                telemetry.count(metric, 1, **labels)
            case "gauge":
                telemetry.set(metric, 1, **labels)
            case "histogram":
                telemetry.observe(metric, 1, **labels)

    text = generate_latest(telemetry.metrics.registry).decode()
    assert all(f"fillwire_{metric}" in text for metric in Metric)


async def test_a_process_exports_its_tasks_and_resources() -> None:
    metrics = Metrics()
    ended = asyncio.Event()
    before = metrics.registry.get_sample_value("fillwire_tasks")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ended.wait())
        tasks.create_task(ended.wait())
        during = metrics.registry.get_sample_value("fillwire_tasks")
        ended.set()

    assert before is not None
    assert during == before + 2
    assert metrics.registry.get_sample_value("fillwire_tasks") == before
