"""Our API with one transaction for each request instead of group commit: each on a connection of its own."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from db import order_store
from runtime.processes import api
from runtime.processes.lifecycle import run_process


class Ungrouped:
    """Stands where `domain.services.batcher.Batcher` stands: what is submitted is stored at once, by itself."""

    def __init__(self, flush: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]], **_bounds: int) -> None:
        self._flush = flush

    async def submit(self, item: Any) -> Any:  # noqa: ANN401  # What an order store submits is its own business.
        """Store the item; its own result or error."""
        (result,) = await self._flush([item])
        return result


if __name__ == "__main__":
    setattr(order_store, "Batcher", Ungrouped)  # noqa: B010  # Its users import it by name: mypy would object.
    sys.exit(run_process("api", api.run, requires=api.REQUIRES))
