"""Takes the port that a process serves on, or says which setting to change."""

import os
import socket

from runtime.settings import SettingsError


def listen(*, host: str, port: int, setting: str, backlog: int) -> socket.socket:
    """A socket that listens there. Raises SettingsError, naming the `setting` of the port, when it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=backlog)
    except OSError as error:
        raise cannot_listen(error, host=host, port=port, setting=setting) from error
    # Connections inherit it. asyncio sets it on those of its own sockets only, and each answer would wait for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def cannot_listen(error: OSError, *, host: str, port: int, setting: str) -> SettingsError:
    """The sentence for a port that could not be taken."""
    # asyncio's own words repeat the address, and a name that is not known has a number below zero.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return SettingsError(
        f"{setting}: cannot listen on {host}, port {port}: {reason}. "
        f"Stop what uses it, or set {setting} (or HOST) to what is free."
    )
