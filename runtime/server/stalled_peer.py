"""Connections whose client does not read: when they are reset, and how."""

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress

NO_LINGER = struct.pack("ii", 1, 0)
READ_MIN_BYTES = 16_384
"""What a peer must read in each period: less than any link in use carries in a few seconds."""


class StalledPeer:
    """A timer that resets the connection of a peer that reads less than READ_MIN_BYTES in a period of `seconds`."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Start the timer: bytes wait for the client."""
        self.stop()
        self._watch(transport, _waiting_bytes(transport))

    def stop(self) -> None:
        """Stop the timer: the bytes have been read, or the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, transport: asyncio.Transport, waiting_bytes: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._check, transport, waiting_bytes)

    def _check(self, transport: asyncio.Transport, waited_bytes: int) -> None:
        waiting_bytes = _waiting_bytes(transport)
        if waited_bytes - waiting_bytes < READ_MIN_BYTES:
            reset_connection(transport)
        else:
            self._watch(transport, waiting_bytes)


def _waiting_bytes(transport: asyncio.Transport) -> int:
    """Return the number of bytes that the peer has not acknowledged, here and in the kernel (tcp(7), SIOCOUTQ).

    The kernel requests more only when a third of its megabytes is free: measured here alone, a slow peer would seem to
    read nothing for a long time.
    """
    in_kernel = bytes(4)
    connection = transport.get_extra_info("socket")
    with suppress(OSError, ValueError):
        in_kernel = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, in_kernel)
    (in_kernel_bytes,) = struct.unpack("i", in_kernel)
    return transport.get_write_buffer_size() + int(in_kernel_bytes)


def reset_connection(transport: asyncio.Transport) -> None:
    """Reset the connection and discard unsent bytes.

    Aborting the transport leaves its bytes to the kernel, which offers them for as long as the peer advertises a window
    of zero (RFC 9293, 3.8.6.1): permanently, to a peer that never reads. The transport must not have ended long ago:
    asyncio's would use a file descriptor that may have been reused; uvloop's raises ValueError.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError, ValueError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
