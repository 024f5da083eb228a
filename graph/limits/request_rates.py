"""The request rate of each account, its rate of new documents, and one rate of all unauthenticated requests together.

A refusal is cheap, but not free, and some clients repeat a request as soon as it is answered. So refusals are delayed:
then the number of a client's connections bounds its refusals, not its speed.
"""

import asyncio
from time import monotonic
from typing import NoReturn

from domain.ports.telemetry import Metric, Telemetry
from domain.services.token_bucket import TokenBucket
from graph.settings import GraphSettings

DELAYED_REFUSALS_MAX = 1_000
"""Refusals delayed at once in one process; more are sent without delay, so that they hold no further connection."""


class TooManyRequestsError(Exception):
    """An account exceeds a rate; the message names it, `limit` is the number per second."""

    def __init__(self, message: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(message)


class RequestRates:
    """The rates of one process. With several processes an account's total rate is their sum."""

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
        unauthenticated = settings.unauthenticated_per_second
        self._unauthenticated = TokenBucket(per_second=unauthenticated, burst=unauthenticated, now=monotonic())
        self._delayed = 0

    async def admit_request(self, account_id: str) -> None:
        """Count a request of the account; raise TooManyRequestsError, delayed, when it is one too many."""
        if not self._requests.take(account_id):
            await self._refuse(account_id, "requests", self._settings.requests_per_second)

    async def admit_document(self, account_id: str) -> None:
        """Count a document that has to be parsed; raise TooManyRequestsError, delayed, above the rate."""
        if not self._documents.take(account_id):
            await self._refuse(account_id, "new documents", self._settings.new_documents_per_second)

    async def slow_unauthenticated(self) -> None:
        """Count a request without a valid token, and delay its refusal when there are too many of them."""
        if not self._unauthenticated.take(now=monotonic()):
            self._telemetry.count(Metric.REQUESTS_REFUSED, limit="unauthenticated")
            await self.delay_refusal()

    async def delay_refusal(self) -> None:
        """Wait before a refusal is sent, unless many are delayed already."""
        if self._delayed >= DELAYED_REFUSALS_MAX:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(self._settings.refused_after_seconds)
        finally:
            self._delayed -= 1

    async def _refuse(self, account_id: str, what: str, limit: int) -> NoReturn:
        self._telemetry.count(Metric.REQUESTS_REFUSED, limit=what)
        self._telemetry.warning(
            "requests_refused",
            account_id=account_id,
            cause=what,
            limit=limit,
            next="refused with 429 until it slows down",
        )
        await self.delay_refusal()
        raise TooManyRequestsError(f"More than {limit} {what} a second. Ask again a bit later.", limit=limit)


class _AccountBuckets:
    """The buckets of the accounts that sent requests last; an account that was dropped starts with a full one."""

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
