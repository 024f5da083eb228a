"""Validation of the addresses in the environment. Pure.

Most of it cannot be left to the code that connects: there a request is already running, and its error names no setting.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from runtime.observability.masking import MASK

WEB_PORTS = {"http": 80, "https": 443}
HOST_MAX_CHARACTERS = 253
ANY_PORT = ":*"
VERSION = "/v2"
"""Version of the venue's protocol: all paths begin with it."""

# Labels as resolvers accept them; those of containers have underscores.
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
# Characters allowed in a path, and so in the first line of a request (RFC 3986, 3.3).
_PATH = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)


def exchange_address(text: str, *, schemes: Sequence[str]) -> str:
    """Return the address unchanged. A websocket's may have a query. Raise ValueError, which does not show it."""
    # First, because urlsplit removes tabs and line ends.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must hold only ASCII characters and no space; write a host as xn--…, a path with %XX")
    parts = _split(text)
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        begin = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"must begin with {begin} and a host, its port a number from 1 to 65535")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and no password; what is sent is EXCHANGE_KEY and EXCHANGE_SECRET")
    if not _is_host(parts.hostname):
        raise ValueError("its host is no IP address, and no name with 1 to 63 of A-Z a-z 0-9 - _ between its dots")
    path = text.partition("//")[2].removeprefix(parts.netloc)
    if parts.scheme in WEB_PORTS and path.rstrip("/").endswith(VERSION):
        # Every order would be sent to /v2/v2/orders, and rejected by a 404.
        raise ValueError(f"must not end in {VERSION}, which is written behind it")
    if parts.scheme not in WEB_PORTS:
        path = path.replace("?", "/", 1)
    if _PATH.fullmatch(path) is None:
        raise ValueError("its path ends in a query or fragment, or holds a character that has to be written as %XX")
    return text


def proxy_address(text: str) -> str:
    """Return the address of a proxy unchanged. Raise ValueError, which does not show it."""
    parts = _split(text) if text.isascii() and text.isprintable() and " " not in text else None
    if parts is None or parts.scheme != "http" or not parts.hostname or not _is_host(parts.hostname):
        raise ValueError(
            "must be http://host:port or http://user:password@host:port; no other kind of proxy is supported"
        )
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must end behind its port; in user and password write / ? # and @ as %2F %3F %23 and %40")
    return text


def web_address(text: str, *, schemes: Sequence[str] = ("https", "http")) -> str:
    """Return the address unchanged. Raise ValueError, which does not show it, when it has no such scheme or no host."""
    parts = _split(text)
    if parts is None or parts.scheme not in schemes or not parts.hostname or not _is_host(parts.hostname):
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host")
    if not text.isascii() or not text.isprintable() or " " in text or "@" in parts.netloc or "#" in text:
        raise ValueError("must hold only ASCII characters, no space, no fragment, no user and no password")
    return text


def origin(text: str) -> str:
    """Return the origin in a browser's form (RFC 6454, section 6.2), `*`, or one with any port: `http://localhost:*`.

    Raise ValueError.
    """
    if text == "*":
        return text
    refusal = ValueError(
        f"{masked_url(text)} is no origin; write it like https://app.example.com or http://app.example.com:8080"
    )
    try:
        # Any number stands for any port while the rest is read.
        parts = urlsplit(f"{text.removesuffix('*')}1" if text.endswith(ANY_PORT) else text)
        port = parts.port
    except ValueError:
        raise refusal from None
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    has_more = parts.path.removesuffix("/") or parts.query or parts.fragment or "@" in host or "*" in host
    if parts.scheme not in WEB_PORTS or not host or has_more:
        raise refusal
    suffix = "" if port in {None, WEB_PORTS[parts.scheme]} else f":{port}"
    suffix = ANY_PORT if text.endswith(ANY_PORT) else suffix
    return f"{parts.scheme}://{host.lower()}{suffix}"


def masked_url(text: str) -> str:
    """Return the text for people: user, password, query and fragment of a URL are masked, any other text is
    unchanged.
    """
    scheme, is_url, _ = text.partition("://")
    if not is_url:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return f"{scheme}://{MASK}"
    _, login, host = parts.netloc.rpartition("@")
    return urlunsplit(
        parts._replace(
            netloc=f"{MASK}@{host}" if login else host,
            query=MASK if parts.query else "",
            fragment=MASK if parts.fragment else "",
        )
    )


def _split(text: str) -> SplitResult | None:
    """Return its parts, or None for a port that cannot be connected to or an unmatched bracket."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= HOST_MAX_CHARACTERS and _HOST.fullmatch(host) is not None
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
