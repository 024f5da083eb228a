"""The clock of a process of the run is off, and that of the run is not."""

import os
import subprocess
import sys

import pytest

from tests.support.processes import INHERITED, ROOT

SHOW = """
import time
from tools.chaos import skewed_process
right = time.time
skewed_process.{put_off}
import runtime.resources.venue
from runtime.processes.lifecycle import Process, utc_now
process = Process(name="worker", settings=None, telemetry=None, stop=None)
clocks = runtime.resources.venue.utc_now is utc_now, process.clock is utc_now
print(round(time.time() - right()), round(utc_now().timestamp() - right()), *clocks)
"""


@pytest.mark.parametrize(("put_off", "shown"), [("_put_off(-90)", "-90 -90"), ("_put_off(40)", "40 40")])
def test_a_process_asks_a_clock_that_is_off_whichever_it_asks(put_off: str, shown: str) -> None:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    command = [sys.executable, "-c", SHOW.format(put_off=put_off)]

    reported = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=30
    )

    assert reported.stdout.split("\n")[0] == f"{shown} True True"
