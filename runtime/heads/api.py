"""The API: GraphQL over HTTP and websocket, health and metrics, on one port."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette

from broadcast.feed import HubFeed
from broadcast.hub import open_hub
from broadcast.settings import HubSettings
from domain.cancellation import Cancellation
from domain.placement import Placement
from graph.app import create_graphql_routes
from graph.context import Services
from graph.draining import OpenSockets
from graph.settings import GraphSettings
from graph.tokens import ExpectedClaims, HmacTokens, TokenVerifier, read_key_set
from runtime.health import health_routes
from runtime.key_set import open_key_set
from runtime.process import Process, new_id, until_stopped, utc_now
from runtime.resources import make_recording, open_database, open_signals
from runtime.serving import serve
from runtime.settings import Settings, SettingsError

REQUIRES = ("database_url", "redis_url")
CLOSING_SECONDS = 1.0
"""How long after the last socket's moment a peer that answers nothing is waited for."""
NO_TOKEN_KEY = "TOKEN_SECRET, TOKEN_JWKS_FILE or TOKEN_JWKS_URL must be set: without one nobody could be let in."  # noqa: S105 - a sentence


async def run(process: Process) -> None:
    """Serve until stopped. Raises SettingsError without a token key."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        tokens = await stack.enter_async_context(open_token_verifier(process))
        database = await stack.enter_async_context(open_database(process))
        signals = await stack.enter_async_context(open_signals(process))
        hub = await stack.enter_async_context(
            open_hub(
                settings.redis_address,
                log=database.changes,
                settings=HubSettings(
                    comparison_seconds=settings.positions_compared_every_seconds,
                    subscriber_buffer_max_changes=settings.subscriber_buffer_changes_max,
                ),
                telemetry=process.telemetry,
            )
        )
        services = Services(
            placement=Placement(
                orders=database.orders,
                reader=database.reader,
                catalog=database.catalog,
                publisher=signals.publisher,
                wake_ups=signals.wake_ups,
                telemetry=process.telemetry,
                clock=utc_now,
                new_id=new_id,
            ),
            cancellation=Cancellation(
                orders=database.orders,
                reader=database.reader,
                recording=make_recording(process, database, signals),
                wake_ups=signals.wake_ups,
            ),
            reader=database.reader,
            catalog=database.catalog,
            feed=HubFeed(hub=hub, log=database.changes, telemetry=process.telemetry),
            telemetry=process.telemetry,
            clock=utc_now,
            settings=graph_settings(settings),
        )
        health = health_routes(
            registry=process.telemetry.metrics.registry,
            checks={"database": database.orders.oldest_due, "redis": signals.check},
            stop=process.stop,
        )
        sockets = OpenSockets()
        application = Starlette(routes=[*health, *create_graphql_routes(services, tokens=tokens, sockets=sockets)])
        process.telemetry.info("api_listening", host=settings.host, port=settings.port)
        await until_stopped(process, lambda: _serve(process, application, sockets))


@asynccontextmanager
async def open_token_verifier(process: Process) -> AsyncIterator[TokenVerifier]:
    """The verifier for the configured key. Raises SettingsError when there is none or it cannot be read."""
    settings = process.settings
    expected = ExpectedClaims(audience=settings.token_audience, issuer=settings.token_issuer)
    if settings.token_secret is not None:
        yield HmacTokens(secret=settings.token_secret.get_secret_value(), expected=expected)
    elif settings.token_jwks_file is not None:
        yield _keys_of_file(settings.token_jwks_file, expected)
    elif settings.token_jwks_url is not None:
        async with open_key_set(settings.token_jwks_url, expected=expected, telemetry=process.telemetry) as tokens:
            yield tokens
    else:
        raise SettingsError(NO_TOKEN_KEY)


def _keys_of_file(path: str, expected: ExpectedClaims) -> TokenVerifier:
    try:
        return read_key_set(Path(path), expected=expected)
    except (OSError, ValueError) as error:
        raise SettingsError(f"TOKEN_JWKS_FILE: {path} cannot be used: {error}") from error


def graph_settings(settings: Settings) -> GraphSettings:
    """The API's limits."""
    return GraphSettings(
        max_attempts=settings.placement_max_attempts,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        body_max_bytes=settings.request_body_max_bytes,
        max_depth=settings.document_max_depth,
        max_aliases=settings.document_max_aliases,
        max_tokens=settings.document_max_tokens,
        max_document_characters=settings.document_max_characters,
        subscriptions_per_socket=settings.subscriptions_per_socket_max,
        socket_init_timeout_seconds=settings.socket_init_timeout_seconds,
        socket_send_timeout_seconds=settings.subscriber_send_timeout_seconds,
        allowed_origins=settings.allowed_origins,
        is_development=settings.is_development,
        development_token_path=Path(settings.local_token_file) if settings.local_token_file else None,
    )


async def _serve(process: Process, application: Starlette, sockets: OpenSockets) -> None:
    settings = process.settings

    async def drain() -> None:
        """Readiness is off by now; new requests are served meanwhile, since not everybody has noticed yet."""
        process.telemetry.info("draining", sockets=len(sockets), drain_seconds=settings.api_drain_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.api_drain_seconds + CLOSING_SECONDS):
                await sockets.end_all(within_seconds=settings.api_drain_seconds, random=random.random)

    await serve(
        application,
        host=settings.host,
        port=settings.port,
        stop_within_seconds=settings.stop_within_seconds - settings.api_drain_seconds - CLOSING_SECONDS,
        message_max_bytes=settings.request_body_max_bytes,
        connections_max=settings.sockets_max,
        drain=drain,
    )
