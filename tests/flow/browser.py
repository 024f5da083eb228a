"""A headless Chromium without a network but this machine, driven over its DevTools protocol."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.support.node import need_program
from tests.support.processes import eventually, running

Json = dict[str, Any]

WITHIN_SECONDS = 30.0
WINDOW = (1400, 860)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root in a container; the only page that is opened is our own.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
    f"--window-size={WINDOW[0]},{WINDOW[1]}",
)


@dataclass(slots=True)
class Page:
    """One page: its requests, its errors, and methods to read and operate it."""

    connection: ClientConnection
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _answers: dict[int, asyncio.Future[Json]] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **parameters: object) -> Json:
        """One command of the protocol; its result."""
        key = next(self._ids)
        self._answers[key] = asyncio.get_running_loop().create_future()
        await self.connection.send(json.dumps({"id": key, "method": method, "params": parameters}))
        async with asyncio.timeout(WITHIN_SECONDS):
            answer = await self._answers[key]
        assert "error" not in answer, answer
        result: Json = answer["result"]
        return result

    async def open(self, url: str) -> None:
        """Navigate there, and begin to record the page's events."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:  # noqa: ANN401 - any value of the page
        """Return the value of the JavaScript expression, awaited when it is a promise."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:  # noqa: ANN401 - as above
        """Wait until the expression returns a true value, and return it."""
        return await eventually(lambda: self.value(expression), within_seconds=WITHIN_SECONDS, what=expression)

    async def click(self, selector: str) -> None:
        """Click the first element that fits, as soon as there is one."""
        await self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        await self.value(f"document.querySelector({json.dumps(selector)}).click()")

    async def show_on(self, *, width: int, height: int, scheme: str = "light") -> None:
        """Show the page in a window of that many CSS pixels, to somebody who prefers that color scheme."""
        is_phone = width < WINDOW[0] // 2
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )
        preferred = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[preferred])

    async def picture(self) -> bytes:
        """Return the page as a PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def read(self) -> None:
        """Read the browser's messages, until it ends."""
        async for frame in self.connection:
            message = json.loads(frame)
            if (answer := self._answers.get(message.get("id", 0))) is not None and not answer.done():
                answer.set_result(message)
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, method: str, said: Json) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requested.append(said["request"]["url"])
            case "Network.webSocketCreated":
                self.requested.append(said["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Log.entryAdded" if said["entry"]["level"] == "error":
                self.complaints.append(said["entry"]["text"])


@asynccontextmanager
async def open_page(folder: Path) -> AsyncIterator[Page]:
    """Open an empty page of a browser whose profile is in that folder."""
    chromium = need_program("chromium", "chromium-browser", "google-chrome")
    arguments = [*OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    async with running(arguments, environment={"HOME": str(folder)}, python=chromium) as browser:
        said = await browser.shows("DevTools listening on ", within_seconds=WITHIN_SECONDS)
        port = said.rpartition("ws://127.0.0.1:")[2].partition("/")[0]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/json/list") as response:
            [address] = [target["webSocketDebuggerUrl"] for target in await response.json() if target["type"] == "page"]
        async with connect(address, max_size=None, proxy=None) as connection:
            page = Page(connection)
            reading = asyncio.create_task(page.read())
            try:
                yield page
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
