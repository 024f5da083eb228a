"""Raises the number of files that this process may hold open: each connection is one."""

import resource
from contextlib import suppress

OTHERS_FILES = 200
"""Room for the database's and Redis' connections, logs, and sockets that are being closed."""


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit towards `wanted` and OTHERS_FILES; gives how many of `wanted` there is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + OTHERS_FILES:
        soft = wanted + OTHERS_FILES if hard == resource.RLIM_INFINITY else min(wanted + OTHERS_FILES, hard)
        with suppress(ValueError, OSError):  # macOS has a lower limit than the one that it names.
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - OTHERS_FILES)
