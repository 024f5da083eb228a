"""Clients of Redis at the address of an installation. Client options in the address are ignored.

Each use of Redis needs its own time-outs, and all need raw bytes of the second protocol: with `protocol=3` or
`decode_responses=true` in the address no message could be read.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool, UnixDomainSocketConnection, parse_url

SCHEMES = ("redis", "rediss", "unix")
DATABASES_MAX = 1 << 31

_TLS_FILES = ("ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_ca_path")
_TLS_OPTIONS = (*_TLS_FILES, "ssl_cert_reqs", "ssl_ca_data", "ssl_check_hostname", "ssl_ciphers", "ssl_password")
_CERTIFICATE_CHECKS = ("none", "optional", "required")
_USED_OPTIONS = ("db", "username", "password", "client_name")
_REPLACED_OPTIONS = (
    *("protocol", "decode_responses", "encoding", "encoding_errors", "socket_timeout", "socket_connect_timeout"),
    *("socket_keepalive", "retry_on_timeout", "health_check_interval", "max_connections", "timeout"),
)
"""Known to the client, and always set here."""
_TCP_OPTIONS = ("socket_keepalive",)


def check_redis_url(url: str) -> None:
    """Raise ValueError, which contains nothing of the URL except names of options, when no client could use it."""
    if "#" in url or url.partition("?")[0].count("@") > 1:
        # Clients disagree about where the host begins, and would show a part of the password as the host.
        raise ValueError("must hold an @ or # of the user or the password as %40 or %23")
    try:
        parts = urlsplit(url)
        port = parts.port
        pairs = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("must have a number as its port, and options of the form name=value") from None
    if parts.scheme not in SCHEMES or port == 0:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in SCHEMES)}, its port a number")
    is_socket = parts.scheme == "unix"
    if is_socket and (parts.hostname or len(parts.path) < len("/x")):
        raise ValueError("must have a whole path of a socket after three slashes, as in unix:///run/redis.sock?db=0")
    if len(dict(pairs)) < len(pairs):
        raise ValueError("has an option twice")
    _check_options(dict(pairs), is_encrypted=parts.scheme == "rediss")
    _check_database(dict(pairs).get("db") or ("" if is_socket else parts.path.strip("/")))


def redis_pool(url: str, **ours: Any) -> ConnectionPool:
    """Return a pool of connections; `ours` are the client's options. The URL is one that `check_redis_url` accepts."""
    theirs: Mapping[str, Any] = parse_url(url)
    used = {name: value for name, value in theirs.items() if name not in _REPLACED_OPTIONS}
    options = {"protocol": 2, **used, **ours}
    if options.get("connection_class") is UnixDomainSocketConnection:
        for name in _TCP_OPTIONS:
            options.pop(name, None)
    return ConnectionPool(**options)


def redis_client(url: str, **ours: Any) -> Redis:
    """Return a client with its own pool, as created by `redis_pool`."""
    return Redis.from_pool(redis_pool(url, **ours))


def _check_options(options: Mapping[str, str], *, is_encrypted: bool) -> None:
    for name, value in options.items():
        if name in _TLS_OPTIONS and not is_encrypted:
            raise ValueError(f"has the option {name}, which needs rediss://")
        if name not in (*_USED_OPTIONS, *_REPLACED_OPTIONS, *_TLS_OPTIONS):
            raise ValueError(f"has an option that is not one of {', '.join((*_USED_OPTIONS, *_TLS_OPTIONS))}")
        if name in _TLS_FILES and not os.access(value, os.R_OK):
            raise ValueError(f"has an option {name} that names nothing which this process can read")
    _check_one_of(options, "ssl_cert_reqs", _CERTIFICATE_CHECKS)


def _check_one_of(options: Mapping[str, str], name: str, values: Sequence[str]) -> None:
    if options.get(name, values[0]) not in values:
        raise ValueError(f"has an option {name} that is not {' or '.join(values)}")


def _check_database(text: str) -> None:
    # The client treats anything that is not a number as database 0.
    if text and not (text.isascii() and text.isdecimal() and int(text) < DATABASES_MAX):
        raise ValueError("must end in the number of a database, as in /0")
