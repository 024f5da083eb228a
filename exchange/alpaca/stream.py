"""The port VenueStream by the broker's websocket: open, authenticate, listen, then yield messages.

There are no sequence numbers and no replay; the caller recovers missed reports.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException

from domain.model.errors import VenueUnreachableError
from domain.model.order_identity import InstallationPrefixes
from domain.ports.clock_and_ids import Clock
from domain.ports.installation import Installation
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import ExternalReport, StreamItem, UnreadableReport, VenueReport
from exchange.alpaca.frames import (
    AUTHORIZATION,
    LISTENING,
    ControlFrame,
    Frame,
    NullFrame,
    authenticate_frame,
    is_authorized,
    is_listening,
    listen_frame,
    parse_frame,
)
from exchange.alpaca.outcomes import TOO_MANY_REQUESTS
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.stream_connection import StreamConnection, open_stream_connection
from exchange.alpaca.unknown_values import count_unknown_values

EARLY_FRAMES_MAX = 10_000
"""Reports that may come between `listen` and its answer; more means that the answer will not come."""


class AlpacaStream:
    """The execution stream of the account. The venue allows one connection at a time."""

    def __init__(
        self, *, settings: AlpacaSettings, installation: Installation, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._settings = settings
        self._installation = installation
        self._clock = clock
        self._telemetry = telemetry

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncIterator[Sequence[StreamItem]]]:
        """Open, authenticate and listen; the iterator then yields messages, several together, until the connection
        ends.

        Raises VenueUnreachableError; so does the iterator when the connection is lost. Raises UnavailableError while
        the database has not returned the prefixes of our orders.
        """
        prefixes = await self._installation.prefixes()
        async with AsyncExitStack() as opened:
            connection = await self._open(opened)
            early = await self._listen(connection, prefixes)
            yield self._reports(connection, early, prefixes)

    async def _open(self, opened: AsyncExitStack) -> StreamConnection:
        try:
            return await opened.enter_async_context(open_stream_connection(self._settings))
        except InvalidStatus as error:
            raise VenueUnreachableError(_refused_handshake(error.response.status_code)) from error
        except (WebSocketException, OSError) as error:
            raise VenueUnreachableError(f"the stream cannot be opened: {str(error) or type(error).__name__}") from error

    async def _listen(self, connection: StreamConnection, prefixes: InstallationPrefixes) -> list[Frame]:
        """Authenticate and request the trade updates; return those that arrived before the answer."""
        settings = self._settings
        early: list[Frame] = []
        next_answer = partial(_answer, connection, prefixes=prefixes, clock=self._clock, early=early)
        try:
            async with asyncio.timeout(settings.stream_answer_timeout_seconds):
                await connection.send(authenticate_frame(key=settings.key, secret=settings.secret))
                if not is_authorized(await next_answer(AUTHORIZATION)):
                    raise VenueUnreachableError("the venue does not accept the key for its stream")
                await connection.send(listen_frame())
                if not is_listening(await next_answer(LISTENING)):
                    raise VenueUnreachableError("the venue does not send trade updates to this key")
        except TimeoutError as error:
            raise VenueUnreachableError("the stream is open but the venue does not answer on it") from error
        except ConnectionClosed as error:
            raise VenueUnreachableError(f"the stream was closed while it was being opened: {error}") from error
        return early

    async def _reports(
        self, connection: StreamConnection, early: list[Frame], prefixes: InstallationPrefixes
    ) -> AsyncIterator[Sequence[StreamItem]]:
        yield self._reports_of(early)
        try:
            while True:
                messages = await connection.next_messages()
                yield self._reports_of(parse_frame(raw, prefixes, clock=self._clock) for raw in messages)
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise VenueUnreachableError(f"the stream was lost: {error}") from error

    def _reports_of(self, frames: Iterable[Frame]) -> Sequence[StreamItem]:
        return [report for frame in frames if (report := self._report(frame)) is not None]

    def _report(self, frame: Frame) -> StreamItem | None:
        match frame:
            case VenueReport():
                count_unknown_values(self._telemetry, frame.unknown_values)
                return frame
            case ExternalReport() | UnreadableReport():
                return frame
            case NullFrame():
                self._telemetry.count(Metric.REPORTS_UNREADABLE)
            case ControlFrame():
                self._telemetry.info("stream_control_frame", stream=frame.stream)
        return None


async def _answer(
    connection: StreamConnection, stream: str, *, prefixes: InstallationPrefixes, clock: Clock, early: list[Frame]
) -> ControlFrame:
    """Return the next frame of that stream; the others are buffered."""
    while len(early) < EARLY_FRAMES_MAX:
        (raw,) = await connection.next_messages(1)
        frame = parse_frame(raw, prefixes, clock=clock)
        if isinstance(frame, ControlFrame) and frame.stream == stream:
            return frame
        early.append(frame)
    raise VenueUnreachableError(f"the venue sends much on its stream, but no answer on {stream}")


def _refused_handshake(status: int) -> str:
    if status == TOO_MANY_REQUESTS:
        return (
            "HTTP 429: the venue allows one stream for the account, and another connection holds the place "
            "(a dead one for up to 90 s)"
        )
    return f"the venue refuses the stream: HTTP {status}"
