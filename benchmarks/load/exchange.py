"""The simulated exchange, controlled to execute as fast or as steadily as a stage needs.

Everything except the trigger is the simulator's own: its book, its journal, its stream, its REST interface.
"""

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import uvloop

from benchmarks.load.obeying import obey
from exchange.simulator.faults import NO_FAULTS
from exchange.simulator.matching import Matching
from exchange.simulator.memory import keep_collections_short
from exchange.simulator.orders import Order, OrderTerms, OrderType, Side, TimeInForce
from exchange.simulator.server import RunningSimulator, SimulatorConfig, running_simulator

PRICE, ONE = Decimal("189.50"), Decimal(1)
STEP_SECONDS = 0.002
LOOK_SECONDS = 0.01


@dataclass(slots=True)
class Driver:
    """Obeys the orders of a stage."""

    simulator: RunningSimulator
    orders: list[Order] = field(default_factory=list)
    next_order: int = 0
    known: int = 0

    async def place(self, *, client_order_ids: list[str], quantity: str) -> dict[str, Any]:
        """Accept limit orders with these ids; the stream reports each as new."""
        instrument = self.simulator.venue.instruments["AAPL"]
        for client_order_id in client_order_ids:
            terms = OrderTerms(
                client_order_id=client_order_id,
                instrument=instrument,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.DAY,
                quantity=Decimal(quantity),
                limit_price=PRICE,
            )
            self.orders.append(self.simulator.venue.place(terms))
        return {"count": len(client_order_ids)}

    async def burst(self, *, count: int) -> dict[str, Any]:
        """Create that number of executions together, before the first of them is sent; return the time after that."""
        for _ in range(count):
            self._execute()
        return {"at": time.perf_counter()}

    async def trickle(self, *, rate: float, seconds: float) -> dict[str, Any]:
        """Create executions at a steady rate; return the index of the first order, and the time of each."""
        first, moments = self.next_order % len(self.orders), list[float]()
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            while len(moments) < passed * rate:
                moments.append(time.perf_counter())
                self._execute()
            await asyncio.sleep(STEP_SECONDS)
        return {"first": first, "moments": moments}

    async def be_slow(self, *, latency_ms: float) -> dict[str, Any]:
        """Set the latency of submissions from now on."""
        venue = self.simulator.venue
        venue.set_faults(venue.faults.changed({"latency_ms": latency_ms}), is_reseeded=False)
        return {}

    async def have(self, *, more: int, within_seconds: float) -> dict[str, Any]:
        """Wait until that number of orders was placed since then; return the number."""
        before, book = self.known, self.simulator.venue.book
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while len(book) < before + more:  # noqa: ASYNC110  # The simulator's book has no events.
                    await asyncio.sleep(LOOK_SECONDS)
        return {"more": len(book) - before}

    async def count(self) -> dict[str, Any]:
        """Count the orders that there are, for `have`."""
        self.known = len(self.simulator.venue.book)
        return {}

    def _execute(self) -> None:
        order = self.orders[self.next_order % len(self.orders)]
        self.next_order += 1
        self.simulator.venue.trading.execute(order, quantity=ONE, price=PRICE)


async def main() -> None:
    """Serve on PORT and obey until the input ends."""
    config = SimulatorConfig(port=int(os.environ["PORT"]), faults=NO_FAULTS, matching=Matching(mode="manual"))
    async with running_simulator(config) as simulator, asyncio.TaskGroup() as tasks:
        collecting = tasks.create_task(keep_collections_short())
        driver = Driver(simulator)
        await obey(
            {
                "place": driver.place,
                "burst": driver.burst,
                "trickle": driver.trickle,
                "be_slow": driver.be_slow,
                "count": driver.count,
                "have": driver.have,
            }
        )
        collecting.cancel()


if __name__ == "__main__":
    uvloop.run(main())
