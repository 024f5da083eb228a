"""The endpoints for operators: /healthz, /readyz and /metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.ports.telemetry import Telemetry
from runtime.observability.metrics import render
from runtime.observability.shared_result import SharedResult
from runtime.processes.lifecycle import Process
from runtime.server.http_connections import HttpLimits
from runtime.server.serving import serve

CHECK_TIMEOUT_SECONDS = 1.5
READY_SECONDS = 1.0
"""How long an answer holds: repeated requests of /readyz reach the database once a second."""
READY = "ok"
STALE = "stale"
"""The part works with older data than it should: /readyz shows it, and the process stays in service."""

Check = Callable[[], Awaitable[object]]
"""Raises NotReadyError, or any other exception, while its part does not work, or works with STALE data."""


class NotReadyError(Exception):
    """The reason why a part does not work: `reason` in fixed words for any client, the message for the log."""

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        super().__init__(sentence)


def health_routes(process: Process, *, checks: Mapping[str, Check]) -> Sequence[Route]:
    """Return the routes. A check that raises or takes longer than CHECK_TIMEOUT_SECONDS makes /readyz answer 503.

    Its answer contains no address and no name. The full reason is logged once when it changes.
    """
    readiness = Readiness(checks, process.telemetry)
    registry = process.telemetry.metrics.registry
    text = SharedResult(lambda: render(registry), held_seconds=process.settings.metrics_rendered_every_seconds)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if process.stop.is_set():
            return JSONResponse({"status": "stopping"}, status_code=503)
        states = await readiness.states()
        ready = all(state in {READY, STALE} for state in states.values())
        return JSONResponse(
            {"status": "ready" if ready else "unavailable", "checks": states}, status_code=200 if ready else 503
        )

    async def metrics(_request: Request) -> Response:
        return Response(await text.get(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


class Readiness:
    """The state of each part, and the state that was logged last. `clock` returns seconds and is monotonic."""

    def __init__(
        self, checks: Mapping[str, Check], telemetry: Telemetry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checks = checks
        self._telemetry = telemetry
        self._logged = dict.fromkeys(checks, READY)
        self._states = SharedResult(self._check_all, held_seconds=READY_SECONDS, clock=clock)

    async def states(self) -> Mapping[str, str]:
        """Return each part's state, at most READY_SECONDS old: READY, or the reason why not."""
        return await self._states.get()

    async def _check_all(self) -> Mapping[str, str]:
        reasons = await asyncio.gather(*(_reason(check) for check in self._checks.values()))
        for part, reason in zip(self._checks, reasons, strict=True):
            self._log(part, reason)
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
        if not settings.is_development:
            process.telemetry.warning(
                "no_metrics_port",
                next="set METRICS_PORT to have /healthz, /readyz and /metrics, which are on no other port",
            )
        await process.stop.wait()
        return
    await serve(
        Starlette(routes=list(health_routes(process, checks=checks))),
        host=settings.metrics_host or settings.host,
        port=settings.metrics_port,
        port_setting="METRICS_PORT",
        host_setting="METRICS_HOST",
        stop_within_seconds=1.0,
        http_limits=HttpLimits(
            connections_max=settings.metrics_connections_max,
            connections_per_second=settings.metrics_connections_per_second_max,
            request_seconds=settings.http_request_timeout_seconds,
            keep_alive_seconds=0.0,
        ),
    )


async def _reason(check: Check) -> NotReadyError | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except NotReadyError as reason:
        return reason
    except TimeoutError:
        return NotReadyError("busy", f"no answer within {CHECK_TIMEOUT_SECONDS} s")
    except Exception as error:  # noqa: BLE001 - any error is the reason why the process is not ready
        return NotReadyError("unreachable", repr(error))
    return None
