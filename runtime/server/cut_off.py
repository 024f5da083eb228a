"""Ends a connection so that nothing of it stays, neither here nor in the kernel."""

import asyncio
import socket
import struct
from contextlib import suppress

NO_LINGER = struct.pack("ii", 1, 0)


def cut_off(transport: asyncio.Transport) -> None:
    """Reset the connection, what was not sent included. Its transport must not have ended long ago: asyncio's would
    hold a file descriptor that is another's by now; uvloop's says ValueError.

    An aborted transport alone leaves its bytes to the kernel, which offers them for as long as the peer says that it
    has no room (RFC 9293, 3.8.6.1): to one that never reads, for ever.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError, ValueError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
