"""Periodic steps of a worker. They do not depend on SAQ, since they repair what it loses."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.model.errors import TransientError
from domain.ports.telemetry import Telemetry
from domain.services.task_cancellation import run_cancellable


async def repeat(
    step: Callable[[], Coroutine[Any, Any, bool]], *, every: timedelta, name: str, telemetry: Telemetry
) -> None:
    """Run the step every `every` until cancelled; run it again immediately when it returns True.

    Each transient failure is logged, and the first success after it: alerts must see how long a failure lasts.
    """
    failing = False
    while True:
        try:
            more = await run_cancellable(step())
            if failing:
                telemetry.info("loop_recovered", loop=name)
            failing = False
        except TransientError as error:
            more, failing = False, True
            telemetry.warning("loop_failing", loop=name, error=str(error), next="tried again until it succeeds")
        except Exception as error:  # noqa: BLE001 - what repairs others must survive an error of its own
            more = False
            telemetry.error("loop_error", loop=name, error=repr(error), next="continues; report this with the log")
        if not more:
            await asyncio.sleep(every.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicStep:
    """A step with a pause after each time that it ran."""

    name: str
    step: Callable[[], Coroutine[Any, Any, object]]
    every: timedelta
    telemetry: Telemetry

    async def run(self) -> None:
        """Run the step every `every` until cancelled."""
        await repeat(self._run_once, every=self.every, name=self.name, telemetry=self.telemetry)

    async def _run_once(self) -> bool:
        await self.step()
        return False


async def finish_within(step: Coroutine[None, None, bool], *, within: timedelta) -> bool:
    """Return the step's result. When the caller is cancelled, the step may finish first, within the bound."""
    running = asyncio.create_task(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running], timeout=within.total_seconds())
        raise
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
