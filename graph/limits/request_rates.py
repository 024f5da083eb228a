"""How often an account may ask, and how often with a document that was never seen; and strangers, all together.

What is refused is cheap, but not free, and who asks in a circle asks again as soon as it is answered. So a refusal is
told late: a peer's connections are then what bounds its refusals, and not how fast it can send.
"""

import asyncio
from time import monotonic
from typing import NoReturn

from domain.ports.telemetry import Metric, Telemetry
from domain.services.token_bucket import TokenBucket
from graph.settings import GraphSettings

REFUSED_AFTER_SECONDS = 1.0
"""How late a refusal is told. A client that honours Retry-After loses nothing by it."""
WAITING_REFUSALS_MAX = 1_000
"""Refusals that wait in one process; more are told at once, so that they hold no further connection."""


class TooManyRequestsError(Exception):
    """Somebody asks more often than allowed; the message says how often that is, `limit` is the number."""

    def __init__(self, message: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(message)


class RequestRates:
    """The rates of one process. An account can ask as many times more often as there are processes."""

    def __init__(self, settings: GraphSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        accounts_max = settings.rated_accounts_max
        self._requests = _AccountBuckets(
            per_second=settings.requests_per_second, burst=settings.requests_burst, accounts_max=accounts_max
        )
        self._documents = _AccountBuckets(
            per_second=settings.new_documents_per_second,
            burst=settings.new_documents_burst,
            accounts_max=accounts_max,
        )
        strangers = settings.strangers_per_second
        self._strangers = TokenBucket(per_second=strangers, burst=strangers, now=monotonic())
        self._waiting = 0

    def admits_request(self, account_id: str) -> bool:
        """Count a request of the account; False when it is one too many, to be refused."""
        return self._requests.take(account_id)

    async def refuse_request(self, account_id: str) -> NoReturn:
        """Raises TooManyRequestsError, late."""
        await self._refuse(account_id, "requests", self._settings.requests_per_second)

    def admits_document(self, account_id: str) -> bool:
        """Count a document that has to be read first; False when it is one too many, to be refused."""
        return self._documents.take(account_id)

    async def refuse_document(self, account_id: str) -> NoReturn:
        """Raises TooManyRequestsError, late."""
        await self._refuse(account_id, "new documents", self._settings.new_documents_per_second)

    async def slow_strangers(self) -> None:
        """Count a request without a valid token. Who asks for it often, together with all others, is told late."""
        if not self._strangers.take(now=monotonic()):
            self._telemetry.count(Metric.REQUESTS_REFUSED, limit="unauthenticated")
            await self.tell_late()

    async def tell_late(self) -> None:
        """Wait before a refusal is told, unless many wait already."""
        if self._waiting >= WAITING_REFUSALS_MAX:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(REFUSED_AFTER_SECONDS)
        finally:
            self._waiting -= 1

    async def _refuse(self, account_id: str, what: str, limit: int) -> NoReturn:
        self._telemetry.count(Metric.REQUESTS_REFUSED, limit=what)
        self._telemetry.warning(
            "requests_refused",
            account_id=account_id,
            cause=what,
            limit=limit,
            next="refused with 429 until it slows down",
        )
        await self.tell_late()
        raise TooManyRequestsError(f"More than {limit} {what} a second. Ask again a bit later.", limit=limit)


class _AccountBuckets:
    """A bucket for each of the accounts that asked last; who is forgotten begins anew."""

    def __init__(self, *, per_second: int, burst: int, accounts_max: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._accounts_max = accounts_max
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, account_id: str) -> bool:
        now = monotonic()
        bucket = self._buckets.pop(account_id, None)
        if bucket is None:
            bucket = TokenBucket(per_second=self._per_second, burst=self._burst, now=now)
            if len(self._buckets) >= self._accounts_max:
                del self._buckets[next(iter(self._buckets))]
        self._buckets[account_id] = bucket
        return bucket.take(now=now)
