"""The endpoints for operators: /healthz, /readyz and /metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.ports.telemetry import Telemetry
from runtime.observability.telemetry import ProcessTelemetry
from runtime.processes.lifecycle import Process
from runtime.server.http_connections import HttpLimits
from runtime.server.serving import serve

HEALTH_CONNECTIONS_MAX = 100
CHECK_TIMEOUT_SECONDS = 1.5
READY_SECONDS = 1.0
"""How long an answer holds: repeated requests of /readyz reach the database once a second."""
READY = "ok"
STALE = "stale"
"""The part works with older data than it should: /readyz shows it, and the process stays in service."""

Check = Callable[[], Awaitable[object]]
"""Raises NotReadyError, or any other exception, while its part does not work, or works with STALE data."""


class NotReadyError(Exception):
    """Why a part does not work: `reason` in fixed words for any client, the message for the log."""

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        super().__init__(sentence)


def health_routes(*, telemetry: ProcessTelemetry, checks: Mapping[str, Check], stop: asyncio.Event) -> Sequence[Route]:
    """Return the routes. A check that raises or takes longer than CHECK_TIMEOUT_SECONDS makes /readyz answer 503.

    Its answer holds no address and no name. The whole reason is logged once when it changes.
    """
    readiness = Readiness(checks, telemetry)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if stop.is_set():
            return JSONResponse({"status": "stopping"}, status_code=503)
        states = await readiness.states()
        ready = all(state in {READY, STALE} for state in states.values())
        return JSONResponse(
            {"status": "ready" if ready else "unavailable", "checks": states}, status_code=200 if ready else 503
        )

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(telemetry.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


class Readiness:
    """The state of each part, and the state that was logged last. Concurrent requests share one run of the checks.

    `clock` returns seconds and is monotonic.
    """

    def __init__(
        self, checks: Mapping[str, Check], telemetry: Telemetry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checks = checks
        self._telemetry = telemetry
        self._clock = clock
        self._logged = dict.fromkeys(checks, READY)
        self._run: asyncio.Task[Mapping[str, str]] | None = None
        self._checked_at = 0.0

    async def states(self) -> Mapping[str, str]:
        """Return each part's state, at most READY_SECONDS old: READY, or the reason why not."""
        if self._run is None or (self._run.done() and self._clock() - self._checked_at >= READY_SECONDS):
            self._run = asyncio.create_task(self._check_all())
        return await asyncio.shield(self._run)

    async def _check_all(self) -> Mapping[str, str]:
        reasons = await asyncio.gather(*(_reason(check) for check in self._checks.values()))
        for part, reason in zip(self._checks, reasons, strict=True):
            self._log(part, reason)
        self._checked_at = self._clock()
        return dict(self._logged)

    def _log(self, part: str, reason: NotReadyError | None) -> None:
        state = READY if reason is None else reason.reason
        if state == self._logged[part]:
            return
        self._logged[part] = state
        if reason is None:
            self._telemetry.info("ready_again", part=part)
        else:
            self._telemetry.warning(
                "not_ready",
                part=part,
                reason=state,
                error=str(reason),
                next="checked again; becomes ready by itself when the check succeeds",
            )


async def serve_health(process: Process, *, checks: Mapping[str, Check]) -> None:
    """Serve the routes on METRICS_PORT until the process stops; without such a port do nothing until then."""
    settings = process.settings
    if not settings.metrics_port:
        await process.stop.wait()
        return
    routes = health_routes(telemetry=process.telemetry, checks=checks, stop=process.stop)
    await serve(
        Starlette(routes=list(routes)),
        host=settings.host,
        port=settings.metrics_port,
        port_setting="METRICS_PORT",
        stop_within_seconds=1.0,
        http_limits=HttpLimits(connections_max=HEALTH_CONNECTIONS_MAX),
    )


async def _reason(check: Check) -> NotReadyError | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except NotReadyError as reason:
        return reason
    except TimeoutError:
        return NotReadyError("busy", f"no answer within {CHECK_TIMEOUT_SECONDS} s")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why the process is not ready
        return NotReadyError("unreachable", repr(error))
    return None
