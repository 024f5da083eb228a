"""The user of a command, for the audit trail: the user of the operating system, never the value of an option."""

import os
import socket

from domain.model.operator_actions import Actor


def actor_of_command(alias: str | None = None) -> Actor:
    """Return the actor: `os:alice@host`, and with sudo also its caller: `os:root@host sudo:alice`.

    `alias` is the name that the user gave. The user is that of the process; only SUDO_USER comes from its environment,
    which the caller can set to anything.
    """
    sudo_user = os.environ.get("SUDO_USER")
    called_by = f" sudo:{sudo_user}" if sudo_user else ""
    return Actor(subject=f"os:{_user_name()}@{socket.gethostname()}{called_by}", alias=alias)


def _user_name() -> str:
    try:
        import pwd  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return os.environ.get("USERNAME") or "unknown"
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())  # In a container: a number without a name.
