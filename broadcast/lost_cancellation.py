"""Whether a loop that works for ever was asked to end, and has not heard of it.

redis-py bounds its writes by `asyncio.wait_for`, in which a cancellation is lost until Python 3.12 when it comes at the
moment in which the write ends. Whoever cancels does so once: the loop would go on, and its process would not stop.
"""

import asyncio


def is_asked_to_end() -> bool:
    """Whether the present task was cancelled.

    It must hold no TaskGroup: until Python 3.12 one whose task has failed leaves its holder counted as cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
