"""Optimistic concurrency: read, decide, write; when a concurrent writer was faster, read and decide again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.model.errors import UnavailableError, VersionConflictError

VERSION_CONFLICTS_MAX = 20
"""How often one thing is decided again. At each conflict another writer made progress, so this many mean a bug."""

Read = TypeVar("Read")
Result = TypeVar("Result")


async def retry_conflicts(
    write: Callable[[Read], Awaitable[Result]],
    *,
    read: Callable[[], Awaitable[Read]],
    first: Read | None = None,
    conflicts_max: int = VERSION_CONFLICTS_MAX,
    refusal: str | None = None,
) -> Result:
    """Return what `write` makes of what `read` returns; read and write again while VersionConflictError is raised.

    With `first`, what was read already, the first write needs no read. Raises VersionConflictError after
    `conflicts_max` conflicts, or UnavailableError with the sentence `refusal`.
    """
    for number in range(conflicts_max):
        found = first if first is not None and number == 0 else await read()
        try:
            return await write(found)
        except VersionConflictError:
            continue
    raise VersionConflictError if refusal is None else UnavailableError(refusal)
