"""Keeps a cancellation from being lost inside the step of an endless loop: its process would not stop.

A task is cancelled once. A step loses that when it ends at the same time: in `asyncio.wait_for` until Python 3.12
(redis-py bounds its writes by it), and until Python 3.13 in a TaskGroup, which raises the errors of its tasks instead
of a cancellation that arrives while the last of them end (github.com/python/cpython/issues/116720).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def was_cancelled() -> bool:
    """Return whether the present task was cancelled.

    It must hold no TaskGroup: until Python 3.12 one whose task has failed leaves its holder counted as cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def run_cancellable(step: Coroutine[Any, Any, Result]) -> Result:
    """Run a step in a separate task and return its result, or raise its error.

    When the caller is cancelled, so is the step; once it has ended the caller raises CancelledError, regardless of the
    step's handling of its cancellation.
    """
    task = asyncio.create_task(step)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    return task.result()
