"""`python -m tools.chaos.skewed_process NAME`: one of our processes with its clock CLOCK_OFFSET_SECONDS off.

The clock is patched before any module that reads it is imported. For the simulated exchange it is the clock that
clients see. The clocks of PostgreSQL, Valkey and the run itself stay correct, so each process differs from them as
well.
"""

import gc
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module

import runtime.processes.lifecycle

OFFSET_SETTING = "CLOCK_OFFSET_SECONDS"


def main(name: str) -> int:
    """Run the process; return its exit code."""
    offset_seconds = float(os.environ.get(OFFSET_SETTING, "0"))
    if name == "exchange":
        exchange = import_module("runtime.processes.exchange")
        vars(exchange)["SimulatorConfig"] = partial(exchange.SimulatorConfig, clock_offset_seconds=offset_seconds)
    elif offset_seconds:
        _put_off(offset_seconds)
    gc.disable()  # As `python -m runtime` does.
    module = import_module(f"runtime.processes.{name}")  # It reads the clock at its import.
    return runtime.processes.lifecycle.run_process(name, module.run, requires=module.REQUIRES)


def _put_off(seconds: float) -> None:
    right = time.time
    offset = timedelta(seconds=seconds)
    time.time = lambda: right() + seconds
    runtime.processes.lifecycle.utc_now = lambda: datetime.now(UTC) + offset


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
