"""The requests that arrived at the exchange, read from its log, which is in its memory only.

The run reads the log to its end before it restarts the exchange. If the exchange ended otherwise the last requests are
lost: that start counts as cut short, and nothing is concluded from missing requests.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from sys import intern
from typing import Any

import aiohttp

from tools.chaos.arena import Arena
from tools.chaos.evidence import VenueRequest

PAGE_REQUESTS = 2_000
READ_EVERY_SECONDS = 0.5
ANSWERED_WITHIN_SECONDS = 5.0
"""A request without an answer is read again until it is that old; then the exchange has closed its connection."""
SUBMISSION = ("POST", "/v2/orders")
LOOK_UP = ("GET", "/v2/orders:by_client_order_id")
KINDS = {SUBMISSION: "submissions", LOOK_UP: "look-ups"}
NOT_FOUND = 404

Json = dict[str, Any]


class RequestTrail:
    """The submissions and look-ups so far. `lives_cut_short` are the starts whose last requests are not known.

    `scripted` counts scripted answers, by the kind of request.
    """

    def __init__(self) -> None:
        self.requests: list[VenueRequest] = []
        self.lives_cut_short: set[int] = set()
        self.scripted: Counter[str] = Counter()
        self.life = 0
        self._process_id: int | None = None
        self._read = 0
        self._is_complete = False
        self._reading = asyncio.Lock()

    async def watch(self, arena: Arena) -> None:
        """Read on again and again, until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):  # It is down: what it had is lost, and noted below.
                await self.read_on(arena)
            await asyncio.sleep(READ_EVERY_SECONDS)

    async def read_on(self, arena: Arena, *, is_end: bool = False) -> None:
        """Read new entries. With `is_end` no relevant request follows in this start of the exchange.

        Raises aiohttp.ClientError or TimeoutError when the exchange does not answer.
        """
        async with self._reading:
            process_id = arena.process_id("exchange")
            if process_id is None:
                return
            self.note_process(process_id)
            while not self.take(await self._page(arena), is_end=is_end):
                pass
            self._is_complete = self._is_complete or is_end

    def note_process(self, process_id: int) -> None:
        """Note whose log is read: with another process another life begins."""
        if self._process_id not in {None, process_id}:
            self._begin_life()
        self._process_id = process_id

    def take(self, page: Json, *, is_end: bool = False) -> bool:
        """Add a page of the log; return whether it is the last page so far."""
        if page["first"] > self._read + 1:
            self._begin_life(read=page["first"] - 1)
        rows: Sequence[Json] = page["requests"]
        newest = _seconds(rows[-1]["at"]) if rows else 0.0
        for row in rows:
            at = _seconds(row["at"])
            if row["status"] is None and not is_end and newest - at < ANSWERED_WITHIN_SECONDS:
                return True
            self._read = row["number"]
            self._take_row(row, at=at)
        return bool(page["is_complete"])

    async def _page(self, arena: Arena) -> Json:
        _, page = await arena.ask_exchange("GET", f"/simulator/requests?after={self._read}&limit={PAGE_REQUESTS}")
        return page

    def _begin_life(self, *, read: int = 0) -> None:
        if not self._is_complete:
            self.lives_cut_short.add(self.life)
        self.life += 1
        self._read, self._is_complete = read, False

    def _take_row(self, row: Json, *, at: float) -> None:
        request = (row["method"], row["path"])
        if row["is_scripted"]:
            self.scripted[KINDS.get(request, "cancels")] += 1
        if request not in KINDS or row["client_order_id"] is None:
            return
        is_submission = request == SUBMISSION
        self.requests.append(
            VenueRequest(
                order_id=intern(row["client_order_id"]),
                at=at,
                life=self.life,
                is_submission=is_submission,
                shows_absence=not is_submission and row["status"] == NOT_FOUND and not row["is_scripted"],
            )
        )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
