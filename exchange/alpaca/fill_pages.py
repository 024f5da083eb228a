"""Pages of the venue's list of fills, each requested while the one before is processed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from domain.model.errors import VenueUnreachableError
from domain.ports.venue import ListedFill
from exchange.alpaca.pages import ListRows, last_id
from exchange.alpaca.row_reader import RowReader

FILLS_PAGE_ROWS = 100


async def fill_pages(
    ask: Callable[[Mapping[str, str]], Awaitable[ListRows]],
    reader: RowReader,
    *,
    wanted: Mapping[str, str],
    pages_max: int,
) -> AsyncGenerator[Sequence[ListedFill]]:
    """Yield the pages of the wanted fills, oldest first.

    Raises VenueUnreachableError, also for a list that does not end within `pages_max`.
    """
    query = {**wanted, "direction": "asc", "page_size": str(FILLS_PAGE_ROWS)}
    asked = asyncio.ensure_future(ask(dict(query)))
    try:
        for _ in range(pages_max):
            rows = await asked
            is_last = rows.count < FILLS_PAGE_ROWS
            if not is_last:
                token = last_id(rows.objects)
                if token == query.get("page_token"):
                    break
                query["page_token"] = token
                asked = asyncio.ensure_future(ask(dict(query)))
                await asyncio.sleep(0)  # It is sent before this page is read.
            if rows.objects:
                yield reader.fills(rows.objects)
            if is_last:
                return
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    raise VenueUnreachableError("the venue's list of fills has no end")
