"""Whether an endless loop was cancelled, and the cancellation was lost on the way.

redis-py bounds its writes by `asyncio.wait_for`, in which a cancellation is lost until Python 3.12 when it comes at the
moment in which the write ends. Whoever cancels does so once: the loop would go on, and its process would not stop.
"""

import asyncio


def was_cancelled() -> bool:
    """Whether the present task was cancelled.

    It must hold no TaskGroup: until Python 3.12 one whose task has failed leaves its holder counted as cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
