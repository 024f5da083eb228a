"""Periodic steps of a worker. They do not depend on SAQ, since they repair what it loses."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from domain.model.errors import TransientError
from domain.ports.telemetry import Telemetry
from domain.services.task_cancellation import run_cancellable

FAILURE_REPEATED_AFTER_SECONDS = 10.0
"""Alerts must see that a failure continues."""


async def repeat(
    step: Callable[[], Coroutine[Any, Any, bool]], *, every: timedelta, name: str, telemetry: Telemetry
) -> None:
    """Run the step every `every` until cancelled; run it again immediately when it returns True.

    A transient failure is logged when it begins, again each FAILURE_REPEATED_AFTER_SECONDS, and when it ends.
    """
    failing, logged_at = False, 0.0
    while True:
        try:
            more = await run_cancellable(step())
            if failing:
                telemetry.info("loop_recovered", loop=name)
            failing = False
        except TransientError as error:
            more, now = False, asyncio.get_running_loop().time()
            if not failing or now - logged_at >= FAILURE_REPEATED_AFTER_SECONDS:
                logged_at = now
                telemetry.warning("loop_failing", loop=name, error=str(error), next="tried again until it succeeds")
            failing = True
        except Exception as error:  # noqa: BLE001 - a repairing loop must survive its own errors
            more = False
            telemetry.error("loop_error", loop=name, error=repr(error), next="continues; report this with the log")
        if not more:
            await asyncio.sleep(every.total_seconds())


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
