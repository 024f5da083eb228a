"""Every request to the venue under the shared rate limit, and the effects of each answer on all callers."""

from collections.abc import Mapping
from datetime import timedelta

from domain.model.rate_budget import RequestPriority
from domain.ports.clock_and_ids import Clock
from domain.ports.rate_limiter import RateLimiter
from domain.ports.telemetry import Telemetry
from domain.ports.venue_clock import VenueClock
from exchange.alpaca.http_answer import HttpAnswer
from exchange.alpaca.outcomes import TOO_MANY_REQUESTS, describe, is_unauthorized
from exchange.alpaca.rate_headers import LIMIT_HEADER, announcement_of, retry_after, shown_time
from exchange.alpaca.transport import Transport

SERVER_ERRORS = 500


class LimitedTransport:
    """The transport behind the rate limiter. `wait_max` bounds the pause that a 429 may request."""

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: RateLimiter,
        clock: Clock,
        venue_clock: VenueClock,
        telemetry: Telemetry,
        wait_max: timedelta,
    ) -> None:
        self.limiter = limiter
        self.wait_max = wait_max
        self._transport = transport
        self._clock = clock
        self._venue_clock = venue_clock
        self._telemetry = telemetry

    async def send(
        self,
        priority: RequestPriority | None,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        names: str | None = None,
        response_max_bytes: int | None = None,
    ) -> HttpAnswer:
        """Make the request when the limit allows it, and return the answer. A priority of None means that the caller
        has acquired the request.

        Raises RequestHeldBackError when the limit would take too long, and the errors of `Transport.send`.
        """
        if priority is not None:
            await self.limiter.acquire(priority)
        asked_at = self._venue_clock.begin()
        answer = await self._transport.send(
            method, path, query=query, body=body, names=names, response_max_bytes=response_max_bytes
        )
        if asked_at is not None and answer.status < SERVER_ERRORS and (shown := shown_time(answer)) is not None:
            self._venue_clock.note(shown, asked_at=asked_at)
        await self._observe(answer)
        return answer

    async def _observe(self, answer: HttpAnswer) -> None:
        """Act on what concerns every caller: the announced limit, a pause, a key that is refused."""
        announcement = announcement_of(answer, now=self._clock(), wait_max=self.wait_max)
        if (
            announcement is not None and answer.status < SERVER_ERRORS
        ):  # Those are a gateway's, which has its own limits.
            self.limiter.observe(announcement)
        elif answer.is_success and LIMIT_HEADER not in answer.headers:
            self.limiter.observe(None)
        if answer.status == TOO_MANY_REQUESTS:
            wait = retry_after(answer, now=self._clock(), wait_max=self.wait_max)
            await self.limiter.pause(wait=wait, error=describe(answer))
        elif not answer.is_success and is_unauthorized(answer):
            self._telemetry.error(
                "venue_unauthorized",
                error=describe(answer),
                next="no request succeeds; fix EXCHANGE_KEY and EXCHANGE_SECRET, then restart",
            )
