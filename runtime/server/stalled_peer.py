"""When a peer to which bytes are owed counts as one that does not read."""

import asyncio
import fcntl
import struct
import termios
from contextlib import suppress

from runtime.server.cut_off import cut_off

READ_MIN_BYTES = 16_384
"""How much a peer must have read in each period. Less than any link that is in use carries in some seconds."""


class StalledPeer:
    """Cuts a peer off that has read next to nothing for so long. Whoever reads slowly and steadily may go on."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """Bytes wait for the peer from now on."""
        self.end()
        self._watch(transport, _waiting_bytes(transport))

    def end(self) -> None:
        """They have been read, or there is no such connection any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, transport: asyncio.Transport, waiting_bytes: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look, transport, waiting_bytes)

    def _look(self, transport: asyncio.Transport, waited_bytes: int) -> None:
        waiting_bytes = _waiting_bytes(transport)
        if waited_bytes - waiting_bytes < READ_MIN_BYTES:
            cut_off(transport)
        else:
            self._watch(transport, waiting_bytes)


def _waiting_bytes(transport: asyncio.Transport) -> int:
    """What the peer has not taken yet, here and in the kernel (tcp(7), SIOCOUTQ).

    The kernel asks us for more only when a third of its megabytes is free: seen from here alone, a slow peer reads
    nothing for a long time.
    """
    in_kernel = bytes(4)
    connection = transport.get_extra_info("socket")
    with suppress(OSError, ValueError):
        in_kernel = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, in_kernel)
    (in_kernel_bytes,) = struct.unpack("i", in_kernel)
    return transport.get_write_buffer_size() + int(in_kernel_bytes)
