"""Probes servers in their own protocols, with the standard library only.

Drivers would cost a tenth of a second of imports at each start, for one probe each.
"""

import asyncio
import struct
from urllib.parse import urlsplit

PROBE_TIMEOUT_SECONDS = 2.0
POSTGRES_PROTOCOL = 196608  # Version 3.0 of the wire protocol.
REPLY_MAX_BYTES = 4096


async def postgres_answers(*, port: int, user: str) -> bool:
    """Return whether PostgreSQL accepts connections: it requests a password, but sends an error during recovery."""
    words = f"user\0{user}\0database\0postgres\0\0".encode()
    reply = await _request(port, struct.pack("!ii", len(words) + 8, POSTGRES_PROTOCOL) + words)
    return reply.startswith(b"R")


async def valkey_answers(*, port: int, password: str) -> bool:
    """Return whether Valkey answers commands: while it loads its data it answers -LOADING."""
    reply = await _request(port, f"AUTH {password}\r\nPING\r\n".encode(), until=b"PONG")
    return reply.endswith(b"+PONG\r\n")


async def http_answers(url: str) -> bool:
    """Return whether a GET of `url` (plain HTTP) is answered with a status of 200 to 299."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    reply = await _request(parts.port or 80, request.encode(), host=parts.hostname or "127.0.0.1")
    return reply.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))


async def _request(port: int, request: bytes, *, host: str = "127.0.0.1", until: bytes = b"") -> bytes:
    """Send the request and return the start of the reply; empty without an answer within PROBE_TIMEOUT_SECONDS."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                await writer.drain()
                return await _reply(reader, until)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def _reply(reader: asyncio.StreamReader, until: bytes) -> bytes:
    reply = b""
    while chunk := await reader.read(REPLY_MAX_BYTES):
        reply += chunk
        if until in reply or reply.startswith(b"-") or len(reply) >= REPLY_MAX_BYTES:
            break
    return reply
