"""The periodic steps of a worker survive what they meet, and log it once."""

import asyncio
from datetime import timedelta

import pytest

from domain.model.errors import UnavailableError
from jobs import periodic
from jobs.periodic import repeat
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.processes import eventually

TURNS = 100
"""Turns of the event loop: more than a step takes."""


async def test_a_loop_survives_an_outage_of_the_database_and_logs_it_once() -> None:
    telemetry = RecordingTelemetry()
    steps: list[int] = []

    async def step() -> bool:
        steps.append(1)
        if 2 <= len(steps) <= 4:
            raise UnavailableError
        return False

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(steps) > 6, within_seconds=5, what="the loop goes on")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(telemetry.said("loop_failing")) == 1
    assert len(telemetry.said("loop_recovered")) == 1


async def test_a_loop_survives_an_unexpected_error_and_logs_it() -> None:
    telemetry = RecordingTelemetry()
    steps: list[int] = []

    async def step() -> bool:
        steps.append(1)
        if len(steps) == 1:
            raise ValueError("nobody thought of this")
        return False

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(steps) > 2, within_seconds=5, what="the loop goes on")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(telemetry.said("loop_error")) == 1


async def test_a_loop_pauses_after_an_unexpected_error() -> None:
    telemetry = RecordingTelemetry()
    steps: list[int] = []

    async def step() -> bool:
        steps.append(1)
        raise ValueError("nobody thought of this")

    running = asyncio.create_task(repeat(step, every=timedelta(hours=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: bool(steps), within_seconds=5, what="the step runs")
    for _ in range(TURNS):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(steps) == 1


async def test_a_step_that_still_fails_is_logged_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "FAILURE_REPEATED_AFTER_SECONDS", 0.005)
    telemetry = RecordingTelemetry()

    async def step() -> bool:
        raise UnavailableError

    running = asyncio.create_task(repeat(step, every=timedelta(milliseconds=1), name="sweep", telemetry=telemetry))
    await eventually(lambda: len(telemetry.said("loop_failing")) > 2, within_seconds=5, what="it is logged again")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert telemetry.said("loop_recovered") == []
