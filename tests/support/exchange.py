"""The simulated exchange on a free port, and the adapter that reaches it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.stream import AlpacaStream
from exchange.simulator.faults import NO_FAULTS, Faults
from exchange.simulator.keys import VenueKeys
from exchange.simulator.matching import Matching
from exchange.simulator.server import SimulatorConfig, running_simulator
from exchange.simulator.stream import Frames
from tests.support.examples import now
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.processes import eventually


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The simulator, and the adapter that reaches it."""

    venue: AlpacaVenue
    stream: AlpacaStream
    settings: AlpacaSettings
    telemetry: RecordingTelemetry
    session: aiohttp.ClientSession

    async def control(self, method: str, path: str, **body: object) -> None:
        url = f"{self.settings.url}/simulator/{path}"
        async with self.session.request(method, url, json=body, headers=VenueKeys().headers) as response:
            assert response.status < 300, await response.text()

    async def fill(self, name: str, *, qty: str, price: str) -> None:
        await self.control("POST", "fills", client_order_id=name, qty=qty, price=price)

    async def settled(self, name: str) -> None:
        """Wait until the order has ended at the exchange."""

        async def has_ended() -> bool:
            found = await self.venue.find(name)
            return found is not None and not found.is_open

        await eventually(has_ended, within_seconds=5, what="the order has ended at the exchange")


@asynccontextmanager
async def an_exchange(
    *, faults: Faults = NO_FAULTS, mode: str = "manual", frames: Frames = "binary", secret: str = "simulator"
) -> AsyncIterator[Exchange]:
    matching = Matching(mode="auto" if mode == "auto" else "manual")
    config = SimulatorConfig(port=0, faults=faults, matching=matching, frames=frames)
    telemetry = RecordingTelemetry()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running_simulator(config))
        settings = AlpacaSettings(
            url=simulator.url,
            stream_url=simulator.stream_url,
            key="simulator",
            secret=secret,
            request_timeout_seconds=5,
        )
        venue = open_alpaca_venue(settings, installation=FixedInstallation(), clock=now, telemetry=telemetry)
        yield Exchange(
            venue=await stack.enter_async_context(venue),
            stream=AlpacaStream(settings=settings, installation=FixedInstallation(), clock=now, telemetry=telemetry),
            settings=settings,
            telemetry=telemetry,
            session=await stack.enter_async_context(aiohttp.ClientSession()),
        )
