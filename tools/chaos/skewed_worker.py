"""`python -m tools.chaos.skewed_worker`: our worker with its clock CLOCK_OFFSET_SECONDS off; 0 leaves it as it is.

The clock is put off before anything that asks it is imported; the database's and the exchange's clocks stay right.
"""

import gc
import os
import sys
import time
from datetime import UTC, datetime, timedelta

import runtime.processes.lifecycle

OFFSET_SETTING = "CLOCK_OFFSET_SECONDS"


def main() -> int:
    """Run the worker; gives its exit code."""
    offset_seconds = float(os.environ.get(OFFSET_SETTING, "0"))
    if offset_seconds:
        _put_off(offset_seconds)
    gc.disable()  # As `python -m runtime` does.
    from runtime.processes import worker  # noqa: PLC0415  # It takes the clock at its import.

    return runtime.processes.lifecycle.run_process("worker", worker.run, requires=worker.REQUIRES)


def _put_off(seconds: float) -> None:
    right = time.time
    offset = timedelta(seconds=seconds)
    time.time = lambda: right() + seconds
    runtime.processes.lifecycle.utc_now = lambda: datetime.now(UTC) + offset


if __name__ == "__main__":
    sys.exit(main())
