"""The way to the venue: straight, or by a tunnel through a proxy (CONNECT: RFC 9110, section 9.3.6); whom TLS trusts.

The proxy learns the venue's host and port; of what goes through the tunnel it can read nothing where the venue speaks
TLS. HTTPS_PROXY and NO_PROXY of the environment are not looked at: an order must not take another way by chance.
"""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from exchange.alpaca.http_answer import NotConnectedError
from exchange.alpaca.settings import AlpacaSettings

PROXY_PORT = 80
PROXY_ANSWER_MAX_BYTES = 16_384
_ANSWER = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_HEAD_END = b"\r\n\r\n"

P = TypeVar("P", bound=asyncio.Protocol)


def tls_context(settings: AlpacaSettings) -> ssl.SSLContext:
    """Return what verifies the venue: by the authorities of `ca_file` alone, or else by this machine's, for which
    OpenSSL reads SSL_CERT_FILE. Raise OSError for a file that cannot be used."""
    return ssl.create_default_context(cafile=settings.ca_file)


async def connect(
    protocol: Callable[[], P], host: str, port: int, *, tls: ssl.SSLContext | None, proxy: str | None
) -> P:
    """Connect to the venue. Raise OSError, of which nothing has reached the venue but perhaps a TLS handshake."""
    loop = asyncio.get_running_loop()
    server_hostname = host if tls else None
    if proxy is None:
        _, connected = await loop.create_connection(protocol, host, port, ssl=tls, server_hostname=server_hostname)
        return connected
    tunnel = await open_tunnel(proxy, host, port)
    try:
        _, connected = await loop.create_connection(protocol, sock=tunnel, ssl=tls, server_hostname=server_hostname)
    except BaseException:
        tunnel.close()
        raise
    return connected


async def open_tunnel(proxy: str, host: str, port: int) -> socket.socket:
    """Return a socket behind which is the venue. Raise NotConnectedError, which does not show the proxy's login."""
    url = urlsplit(proxy)
    tunnel = await _reached(url)
    try:
        await asyncio.get_running_loop().sock_sendall(tunnel, _request(url, host, port))
        await _await_consent(tunnel)
    except BaseException:
        tunnel.close()
        raise
    return tunnel


async def _reached(url: SplitResult) -> socket.socket:
    """Return a socket to the first of the proxy's addresses that takes it."""
    loop = asyncio.get_running_loop()
    refusal: OSError | None = None
    try:
        addresses = await loop.getaddrinfo(url.hostname, url.port or PROXY_PORT, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotConnectedError(f"the proxy cannot be reached: {error.strerror}") from error
    for family, kind, protocol, _, address in addresses:
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.setblocking(False)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(candidate, address)
        except OSError as error:
            candidate.close()
            refusal = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise NotConnectedError(f"the proxy cannot be reached: {refusal}") from refusal


def _request(url: SplitResult, host: str, port: int) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: fillwire"]
    if url.username is not None or url.password is not None:
        login = b64encode(f"{unquote(url.username or '')}:{unquote(url.password or '')}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def _await_consent(tunnel: socket.socket) -> None:
    """Read the proxy's answer to its end, and no byte more: what is behind it is the venue's."""
    answer = b""
    while not answer.endswith(_HEAD_END):
        more = await asyncio.get_running_loop().sock_recv(tunnel, PROXY_ANSWER_MAX_BYTES)
        answer += more
        if not more or _HEAD_END in answer[: -len(_HEAD_END)] or len(answer) > PROXY_ANSWER_MAX_BYTES:
            break
    status = _ANSWER.match(answer)
    if status is not None and not status[1].startswith(b"2"):
        raise NotConnectedError(f"the proxy refuses to connect to the venue: HTTP {status[1].decode()}")
    if status is None or not answer.endswith(_HEAD_END) or _HEAD_END in answer[: -len(_HEAD_END)]:
        raise NotConnectedError("the proxy's answer cannot be understood")
