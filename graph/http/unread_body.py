"""An answer to a request with an unwanted body, sent so that the client receives it.

A connection that is closed while the client still sends is reset, and the reset destroys the answer in transit. So the
end of the answer waits until the rest of the body was discarded, for a bounded time.
"""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

DISCARD_MAX_BYTES = 33_554_432
DISCARD_SECONDS = 5.0


async def answer_and_discard(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the response, and discard the rest of the client's body."""

    async def hold_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await response(scope, receive, hold_open)
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            await _discard(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    discarded = 0
    while discarded < DISCARD_MAX_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
