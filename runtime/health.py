"""What operators look at: /healthz, /readyz and /metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.process import Process
from runtime.serving import serve

HEALTH_MESSAGE_MAX_BYTES = 1_024
HEALTH_CONNECTIONS_MAX = 100
CHECK_TIMEOUT_SECONDS = 1.5

Check = Callable[[], Awaitable[object]]


def health_routes(*, registry: CollectorRegistry, checks: Mapping[str, Check], stop: asyncio.Event) -> Sequence[Route]:
    """The routes. A check that raises or takes longer than CHECK_TIMEOUT_SECONDS makes /readyz answer 503."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if stop.is_set():
            return JSONResponse({"status": "stopping"}, status_code=503)
        results = await asyncio.gather(*(_state(check) for check in checks.values()))
        states = dict(zip(checks, results, strict=True))
        ready = all(state == "ok" for state in states.values())
        return JSONResponse(
            {"status": "ready" if ready else "unavailable", "checks": states}, status_code=200 if ready else 503
        )

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def serve_health(process: Process, *, checks: Mapping[str, Check]) -> None:
    """Serve the routes on METRICS_PORT until the process stops; without such a port do nothing until then."""
    settings = process.settings
    if not settings.metrics_port:
        await process.stop.wait()
        return
    routes = health_routes(registry=process.telemetry.metrics.registry, checks=checks, stop=process.stop)
    await serve(
        Starlette(routes=list(routes)),
        host=settings.host,
        port=settings.metrics_port,
        stop_within_seconds=1.0,
        message_max_bytes=HEALTH_MESSAGE_MAX_BYTES,
        connections_max=HEALTH_CONNECTIONS_MAX,
    )


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why the process is not ready
        return type(error).__name__  # The message might tell an address or a name; the log has it.
    return "ok"
