"""What a server needs of the system: its port, and file descriptors for its connections."""

import os
import resource
import socket
from contextlib import suppress

from runtime.settings import SettingsError

ANY_IPV6 = "::"
OTHER_FILES = 200
"""For the connections to PostgreSQL and Redis, logs, and sockets that are being closed."""


def listen(*, host: str, port: int, setting: str, host_setting: str, backlog: int) -> socket.socket:
    """Return a listening socket. Raise SettingsError, naming the settings of port and host, when it cannot be used."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Whether :: includes IPv4 differs between systems. Here it does, wherever that is possible.
        is_any = address[0] == ANY_IPV6 and socket.has_dualstack_ipv6()
        listening = socket.create_server(address[:2], family=family, backlog=backlog, dualstack_ipv6=is_any)
    except OSError as error:
        raise cannot_listen(error, host=host, port=port, setting=setting, host_setting=host_setting) from error
    # Connections inherit it. asyncio sets it on its own sockets only, and each response would be delayed by 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def cannot_listen(error: OSError, *, host: str, port: int, setting: str, host_setting: str = "HOST") -> SettingsError:
    """Return the error for a port that cannot be used."""
    # asyncio's text repeats the address, and an unknown host has a number below zero.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return SettingsError(
        f"{setting}: cannot listen on {host}, port {port}: {reason}. "
        "Each process needs a port of its own: "
        f"stop what uses this one, or set {setting} (or {host_setting}) to what is free."
    )


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit of open files to `wanted` plus OTHER_FILES, and return how many of `wanted` it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + OTHER_FILES:
        soft = wanted + OTHER_FILES if hard == resource.RLIM_INFINITY else min(wanted + OTHER_FILES, hard)
        with suppress(ValueError, OSError):  # The limit of macOS is lower than the one that it reports.
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - OTHER_FILES)
