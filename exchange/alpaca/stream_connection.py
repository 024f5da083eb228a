"""websockets' client connection, with all messages of one read available together.

The library parses each frame in a Python coroutine and passes on each message by waking a task: 7 µs of an execution.
Nearly all frames of a venue are plain ones, consecutive in the received bytes: those are extracted here. Everything
else (the handshake, pings, closes, fragments, oversized messages, protocol errors) is passed to the library, which
answers, fails and ends the connection as usual. See docs/decisions/0020.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

END_OF_HANDSHAKE = b"\r\n\r\n"
RESUMED_BELOW_SHARE = 4
"""Reading goes on when a quarter of what makes it pause is left, as the library has it."""

_FINAL_TEXT, _FINAL_BINARY = 0x81, 0x82
_PLAIN = frozenset({_FINAL_TEXT, _FINAL_BINARY})
_CONTROL = frozenset({0x88, 0x89, 0x8A})
_TWO_BYTES_LENGTH = 126
"""What stands for the length when the two bytes behind it tell it; 127 stands for eight of them, more for a mask."""
_HEADER_BYTES, _LONG_HEADER_BYTES = 2, 4


def cut_plain(data: bytes, start: int, *, message_max_bytes: int) -> tuple[list[bytes], int]:
    """Return the messages of the complete plain frames in the data from that position on, and the position after them.

    A plain frame is a whole message, without a mask or an extension, of at most 65 535 bytes.
    """
    messages: list[bytes] = []
    size = len(data)
    while start + _HEADER_BYTES <= size and data[start] in _PLAIN:
        length, begin = data[start + 1], start + _HEADER_BYTES
        if length == _TWO_BYTES_LENGTH:
            begin = start + _LONG_HEADER_BYTES
            length = int.from_bytes(data[start + _HEADER_BYTES : begin], "big")
        elif length > _TWO_BYTES_LENGTH:
            break
        if begin + length > size or length > message_max_bytes:
            break
        start = begin + length
        messages.append(data[begin:start])
    return messages, start


def control_end(data: bytes, start: int) -> int | None:
    """Return the end of the control frame that begins there; None when it is not complete."""
    if start + _HEADER_BYTES > len(data) or data[start] not in _CONTROL or data[start + 1] >= _TWO_BYTES_LENGTH:
        return None
    end = start + _HEADER_BYTES + data[start + 1]
    return end if end <= len(data) else None


def may_become_whole(data: bytes, start: int, *, message_max_bytes: int) -> bool:
    """Return whether the data there can be the beginning of a plain frame, or of a control frame."""
    head = data[start : start + _LONG_HEADER_BYTES]
    if not head or len(head) == 1:
        return not head or head[0] in _PLAIN | _CONTROL
    if head[0] in _CONTROL:
        return head[1] < _TWO_BYTES_LENGTH
    if head[0] not in _PLAIN or head[1] > _TWO_BYTES_LENGTH:
        return False
    if head[1] < _TWO_BYTES_LENGTH:
        return head[1] <= message_max_bytes
    return len(head) < _LONG_HEADER_BYTES or int.from_bytes(head[_HEADER_BYTES:], "big") <= message_max_bytes


class StreamConnection(ClientConnection):
    """A connection that is read only by `next_messages`, by one task. Messages are bytes, text ones too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        size_max = self.protocol.max_message_size
        self._message_max_bytes = size_max if size_max is not None else 1 << 16
        self._messages: deque[bytes] = deque()
        self._begun = b""
        """Of the handshake its last bytes, then of a frame those that have come."""
        self._is_in_handshake = True
        self._is_left_to_library = False
        self._is_paused = False
        self._news: asyncio.Future[None] | None = None

    async def next_messages(self, at_most: int) -> Sequence[bytes]:
        """Wait for a message, then return all available ones. Raises ConnectionClosed when the connection has ended."""
        while not self._messages:
            if self._is_left_to_library:
                message = await self.recv()
                return [message.encode() if isinstance(message, str) else message]
            self._news = self.loop.create_future()
            await self._news
        if len(self._messages) <= at_most:
            taken: Sequence[bytes] = tuple(self._messages)
            self._messages.clear()
        else:
            taken = [self._messages.popleft() for _ in range(at_most)]
        self._resume_reading()
        return taken

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        if self._is_in_handshake:
            data = self._behind_handshake(data)
        elif not self._is_left_to_library:
            data, self._begun = self._begun + data, b""
        if data:
            self._take(data)
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the library report the end to waiting tasks, once all received messages have been read."""
        self._is_left_to_library = True
        super().connection_lost(exc)
        self._tell()

    def _behind_handshake(self, data: bytes) -> bytes:
        """Return the bytes after the venue's answer to the handshake; earlier bytes are passed to the library."""
        end = (self._begun + data).find(END_OF_HANDSHAKE)
        if end < 0:
            self._begun = (self._begun + data)[1 - len(END_OF_HANDSHAKE) :]
            super().data_received(data)
            return b""
        end += len(END_OF_HANDSHAKE) - len(self._begun)
        self._begun, self._is_in_handshake = b"", False
        super().data_received(data[:end])
        return data[end:]

    def _take(self, data: bytes) -> None:
        place = 0
        while not self._is_left_to_library:
            if self.protocol.state is not State.OPEN:
                self._is_left_to_library = True
                break
            messages, place = cut_plain(data, place, message_max_bytes=self._message_max_bytes)
            self._messages += messages
            end = control_end(data, place)
            if end is not None:
                super().data_received(data[place:end])
                place = end
            elif may_become_whole(data, place, message_max_bytes=self._message_max_bytes):
                self._begun = data[place:]
                break
            else:
                # Permanently: a fragment of a message is followed by others.
                self._is_left_to_library = True
        if self._is_left_to_library and place < len(data):
            super().data_received(data[place:])
        self._pause_reading()

    def _pause_reading(self) -> None:
        if self.max_queue_high is not None and len(self._messages) > self.max_queue_high and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused and len(self._messages) * RESUMED_BELOW_SHARE <= (self.max_queue_high or 0):
            self._is_paused = False
            # The library may have paused for its own bytes, and resumes by itself.
            if not self.recv_messages.paused:
                self.transport.resume_reading()

    def _tell(self) -> None:
        if self._news is not None and (self._messages or self._is_left_to_library):
            if not self._news.done():
                self._news.set_result(None)
            self._news = None
