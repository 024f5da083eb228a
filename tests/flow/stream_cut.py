"""`python -m tests.flow.stream_cut`: the stream is disconnected for a minute while 10 000 orders fill. Prints when both
sides agree.

Too slow for every test run; a test of `test_stream_recovery` does it with fewer orders.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import asyncpg

from db.migrate import upgrade
from tests.flow.against_exchange import Exchange, fill_while_cut
from tests.support.servers import running_postgres, running_valkey
from tests.support.system import open_system

RIGHT_WITHIN_SECONDS = 10.0


async def measure(database_url: str, redis_url: str, *, orders: int, seconds: float, blind: bool) -> float:
    """With the product's own settings, one API, worker and ingest."""
    settings = {"CATCH_UP_UNHEARD_SECONDS": "3600", "RECONCILE_EVERY_SECONDS": "3600"} if blind else {}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.sync_instruments()
        await system.start("api", "worker", "ingest")
        database = await asyncpg.connect(database_url)
        try:
            return await fill_while_cut(
                Exchange(system, database), orders=orders, cut_seconds=seconds, within_seconds=RIGHT_WITHIN_SECONDS
            )
        finally:
            await database.close()


def main() -> None:
    """Run it with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the stream is cut")
    parser.add_argument("--blind", action="store_true", help="nothing is asked meanwhile, as if REST were cut as well")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(Path(folder) / "postgres") as postgres,
        running_valkey(Path(folder) / "valkey") as valkey,
    ):
        upgrade(postgres.url)
        after = asyncio.run(
            measure(postgres.url, valkey.url, orders=options.orders, seconds=options.seconds, blind=options.blind)
        )
    when = f"{after:.1f} s after" if after > 0 else f"{-after:.1f} s before"
    print(f"{options.orders} orders filled while the stream was cut: all right {when} its return")  # noqa: T201 - its result


if __name__ == "__main__":
    main()
