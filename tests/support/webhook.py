"""A webhook on this machine that records messages and can be stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Webhook:
    """Webhook that stores its messages in order. `status` is its answer; a `silent` one accepts a message and never
    answers.
    """

    address: str = ""
    status: int = 200
    silent: bool = False
    asked: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def titles(self) -> list[str]:
        """Return the titles of the messages."""
        return [message["title"] for message in self.messages]

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Receive one message."""
        message = await request.json()
        self.asked += 1
        if self.silent:
            await self._closing.wait()
        if self.status == 200:
            self.messages.append(message)
        return web.Response(status=self.status)

    def close(self) -> None:
        """Release all waiting requests."""
        self._closing.set()


@asynccontextmanager
async def open_webhook(path: str = "hooks/s3cret-t0ken") -> AsyncIterator[Webhook]:
    """Run a webhook at its `address`, a URL for ALERT_URLS."""
    webhook = Webhook()
    runner = web.ServerRunner(web.Server(webhook.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    webhook.address = f"json://127.0.0.1:{runner.addresses[0][1]}/{path}"
    try:
        yield webhook
    finally:
        webhook.close()
        await runner.cleanup()
