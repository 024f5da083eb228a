"""By which clock ingest dates messages in which the venue states no time."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from runtime.processes.ingest import make_stream
from runtime.processes.lifecycle import Process
from runtime.settings import load_settings
from tests.support.fakes.telemetry import RecordingTelemetry

AT_VENUE = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


async def test_messages_without_a_time_are_dated_by_the_venues_clock() -> None:
    telemetry: Any = RecordingTelemetry()
    process = Process(name="ingest", settings=load_settings(), telemetry=telemetry, stop=asyncio.Event())
    venue: Any = SimpleNamespace(venue_clock=lambda: AT_VENUE)

    stream = make_stream(process, MagicMock(), venue)

    assert stream._clock() == AT_VENUE  # noqa: SLF001 - what nothing else shows without a venue
