"""The product's API with one transaction for each request instead of group commit: each on its own connection."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from db import order_store
from runtime.processes import api
from runtime.processes.lifecycle import run_process


class Ungrouped:
    """Replaces `domain.services.batcher.Batcher`: each submitted item is stored immediately and separately."""

    def __init__(self, flush: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]], **_bounds: int) -> None:
        self._flush = flush

    async def submit(self, item: Any) -> Any:  # noqa: ANN401  # Any item of an order store.
        """Store the item; return its result or raise its error."""
        (result,) = await self._flush([item])
        return result


if __name__ == "__main__":
    setattr(order_store, "Batcher", Ungrouped)  # noqa: B010  # Its users import it by name: mypy would object.
    sys.exit(run_process("api", api.run, requires=api.REQUIRES))
