"""The machine of a run, and the share of it that each process used."""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]  # It has no type hints.

MICROSECONDS = 1e6
PROCESS_CLOCK = 2
"""The scheduler's clock of a whole process (linux/posix-timers.h, CPUCLOCK_SCHED)."""


def describe_machine() -> Mapping[str, str | int]:
    """Return the properties of the machine that affect the figures."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


@dataclass(frozen=True, slots=True)
class CpuMeter:
    """The processor time of some programs, each with its children. `pids` maps names to process ids."""

    pids: Mapping[str, int]

    def read(self) -> dict[str, float]:
        """Seconds of each program so far."""
        return {name: _seconds(psutil.Process(pid)) for name, pid in self.pids.items()}

    def since(self, before: Mapping[str, float], *, per: float, of: str) -> dict[str, float]:
        """Microseconds of each program since then for one of `per` units, as figures: `api CPU µs/order`."""
        return {
            f"{name} CPU µs/{of}": (seconds - before[name]) * MICROSECONDS / max(per, 1)
            for name, seconds in self.read().items()
        }


def memory_bytes(pid: int) -> int:
    """Return the process's memory."""
    return int(psutil.Process(pid).memory_info().rss)


def _seconds(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, OSError):
            total += _own_seconds(one)
    return total


def _own_seconds(process: psutil.Process) -> float:
    if platform.system() == "Linux":
        # clock_getcpuclockid(3): in nanoseconds, where the system's list of processes counts in hundredths.
        return time.clock_gettime(~process.pid << 3 | PROCESS_CLOCK)
    times = process.cpu_times()
    return float(times.user + times.system)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  # A file of the kernel, on Linux only.
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
