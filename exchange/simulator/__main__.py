"""Runs only the simulated exchange: `python -m exchange.simulator --help`."""

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

from exchange.simulator.faults import NO_FAULTS, Faults
from exchange.simulator.matching import Matching
from exchange.simulator.memory import keep_collections_short
from exchange.simulator.server import SimulatorConfig, running_simulator


def main() -> None:
    """Read the command line and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m exchange.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="port, 0 for a free one (default %(default)s)")
    parser.add_argument("--frames", choices=("binary", "text"), default="binary", help="frames of the stream")
    parser.add_argument("--journal", type=Path, help="file to which the journal is appended, as lines of JSON")
    parser.add_argument("--manual", action="store_true", help="execute only by hand (POST /simulator/fills)")
    parser.add_argument("--no-faults", action="store_true", help="no latency and no refused placements")
    arguments = parser.parse_args()
    config = SimulatorConfig(
        host=arguments.host,
        port=arguments.port,
        faults=NO_FAULTS if arguments.no_faults else Faults(),
        matching=Matching(mode="manual" if arguments.manual else "auto"),
        frames=arguments.frames,
        journal_path=arguments.journal,
    )
    uvloop.run(_serve_until_signalled(config))


async def _serve_until_signalled(config: SimulatorConfig) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with running_simulator(config) as simulator, asyncio.TaskGroup() as tasks:
        collecting = tasks.create_task(keep_collections_short())
        print(f"simulated exchange at {simulator.url}, stream at {simulator.stream_url}", flush=True)  # noqa: T201  # A command.
        await stopping.wait()
        collecting.cancel()


if __name__ == "__main__":
    main()
