"""The API: GraphQL over HTTP and websocket on PORT, health and metrics on METRICS_PORT; in development all on PORT."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from redis.exceptions import NoPermissionError
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from broadcast.feed import HubFeed
from broadcast.hub import open_hub
from broadcast.settings import HubSettings
from domain.model.errors import UnavailableError
from domain.ports.telemetry import Metric
from domain.services.revocation_list import READ_EVERY
from graph.app import create_graphql_routes, graphql_first
from graph.auth.token_cache import TokenCache
from graph.auth.tokens import TokenVerifier
from graph.context import Services
from graph.documents.trusted import InvalidManifestError, read_manifest
from graph.settings import DocumentPolicy, GraphSettings, TrustedDocument
from graph.websocket.open_sockets import OpenSockets
from graph.websocket.withdrawal import TokenWithdrawal
from jobs.periodic import repeat
from runtime.api_services import make_services
from runtime.observability.health import health_routes, serve_health
from runtime.processes.lifecycle import Process, until_stopped, utc_now
from runtime.resources.accepted_tokens import make_accepted_tokens
from runtime.resources.database import open_database
from runtime.resources.redis import open_redis, redis_trouble
from runtime.resources.token_keys import open_token_keys
from runtime.server.http_connections import HttpLimits
from runtime.server.listening import allow_open_files
from runtime.server.serving import serve
from runtime.server.websocket_protocol import CLOSE_SECONDS, WebSocketLimits
from runtime.settings import Settings, SettingsError

REQUIRES = ("database_url", "redis_url", "broadcast_key")
CLOSING_SECONDS = 1.0
"""How long after the last socket was closed the API waits for a peer that does not answer the close frame."""
PUBLISH_PAUSE_SECONDS = 0.005
"""Between two messages to Redis: an API publishes single orders that it has just stored, and a message for each of them
costs as much as storing it. The first one is sent at once."""


async def run(process: Process) -> None:
    """Serve until stopped. Raises SettingsError without a token key or with several kinds."""
    settings = process.settings
    async with AsyncExitStack() as stack:
        token_keys = await stack.enter_async_context(open_token_keys(process))
        database = await stack.enter_async_context(open_database(process, requests_only=True))
        await database.require_prefix()
        accepted = make_accepted_tokens(process, database, token_keys.verifier)
        tokens = TokenCache(verifier=accepted, tokens_max=settings.verified_tokens_max, clock=utc_now)
        redis = await stack.enter_async_context(open_redis(process, publish_pause_seconds=PUBLISH_PAUSE_SECONDS))
        hub = await stack.enter_async_context(
            open_hub(
                settings.redis_address,
                log=database.changes,
                signer=settings.message_signer,
                settings=HubSettings(
                    comparison_seconds=settings.positions_compared_every_seconds,
                    subscriber_buffer_max_changes=settings.subscriber_buffer_changes_max,
                ),
                telemetry=process.telemetry,
            )
        )
        feed = HubFeed(
            hub=hub,
            log=database.changes,
            telemetry=process.telemetry,
            completion_wait_seconds=settings.order_completion_wait_seconds,
        )
        services = make_services(process, database, redis, feed=feed, settings=graph_settings(settings))

        async def check_redis() -> None:
            await redis.check()
            if isinstance(hub.link_error, NoPermissionError):
                raise redis_trouble(hub.link_error)

        checks = {"database": database.check, "redis": check_redis, **token_keys.checks}
        health = health_routes(process, checks=checks) if settings.is_development else ()
        sockets = OpenSockets(services.settings, services.telemetry)
        withdrawal = TokenWithdrawal(accepted=accepted, cache=tokens, sockets=sockets)
        token_keys.held.on_change(withdrawal.keys_changed)
        with suppress(UnavailableError):
            # Without it the first clients would be asked to retry. While the database is unreachable they are.
            await withdrawal.read_all_revocations()
        routes = _graphql_routes(services, tokens=tokens, sockets=sockets)
        application = graphql_first(_without_redirects([*health, *routes]), routes, root_path=settings.root_path)
        await until_stopped(
            process,
            lambda: _serve(process, application, sockets),
            lambda: repeat(
                withdrawal.read_revocations, every=READ_EVERY, name="revocations", telemetry=process.telemetry
            ),
            probes=lambda: serve_health(process, checks=checks),
        )


def graph_settings(settings: Settings) -> GraphSettings:
    """Return the limits of GraphQL requests and websockets."""
    return GraphSettings(
        max_attempts=settings.placement_max_attempts,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        requests_per_second=settings.requests_per_second_max,
        requests_burst=settings.requests_burst_max,
        unauthenticated_per_second=settings.requests_unauthenticated_per_second_max,
        new_documents_per_second=settings.documents_new_per_second_max,
        new_documents_burst=settings.documents_new_burst_max,
        rated_accounts_max=settings.request_accounts_max,
        queries_at_once=settings.queries_at_once_per_account_max,
        waits_per_account=settings.waits_per_account_max,
        query_slot_objects=settings.query_slot_max_objects,
        body_max_bytes=settings.request_body_max_bytes,
        get_queries_allowed=settings.get_queries_allowed,
        max_depth=settings.document_max_depth,
        max_nesting=settings.document_max_nesting,
        max_aliases=settings.document_max_aliases,
        max_directives=settings.document_max_directives,
        max_repeats=settings.document_max_repeats,
        max_orders=settings.document_max_orders,
        max_cost_objects=settings.document_cost_max_objects,
        max_errors=settings.document_max_errors,
        max_tokens=settings.document_max_tokens,
        max_document_characters=settings.document_max_characters,
        document_cache_max_documents=settings.document_cache_max_documents,
        document_cache_max_characters=settings.document_cache_max_characters,
        compiled_operations=settings.compiled_operations,
        shared_results_max=settings.shared_results_max,
        documents=DocumentPolicy(settings.documents),
        trusted_documents=_trusted_documents(settings),
        persisted_max_documents=settings.persisted_max_documents,
        persisted_max_characters=settings.persisted_max_characters,
        sockets_max=settings.sockets_max,
        sockets_waiting_max=settings.sockets_waiting_max,
        sockets_per_account=settings.sockets_per_account_max,
        subscriptions_per_socket=settings.subscriptions_per_socket_max,
        socket_init_timeout_seconds=settings.socket_init_timeout_seconds,
        socket_send_timeout_seconds=settings.subscriber_send_timeout_seconds,
        allowed_origins=settings.allowed_origins,
        allowed_headers=settings.allowed_headers,
        root_path=settings.root_path,
        is_development=settings.is_development,
        graphiql_allowed=settings.graphiql_allowed,
        development_token_path=Path(settings.local_token_file) if settings.local_token_file else None,
    )


def http_limits(settings: Settings) -> HttpLimits:
    """Return the limits of HTTP connections."""
    return HttpLimits(
        connections_max=settings.http_connections_max,
        upgrades_per_second=settings.sockets_opened_per_second_max,
        head_max_bytes=settings.http_head_max_bytes,
        headers_max=settings.http_headers_max,
        keep_alive_seconds=settings.http_keep_alive_seconds,
        request_seconds=settings.http_request_timeout_seconds,
        stalled_seconds=settings.subscriber_send_timeout_seconds,
    )


def websocket_limits(settings: Settings) -> WebSocketLimits:
    """Return the limits of one websocket's frames."""
    return WebSocketLimits(
        message_max_bytes=settings.socket_message_max_bytes,
        frames_per_second=settings.socket_messages_per_second_max,
        frames_burst=settings.socket_messages_burst_max,
        ping_seconds=settings.socket_ping_seconds,
        # Later than the API's own deadline, which knows the socket and says so in the log.
        stalled_seconds=settings.subscriber_send_timeout_seconds + CLOSE_SECONDS,
    )


def _without_redirects(routes: Sequence[BaseRoute]) -> Starlette:
    """Return an application that does not redirect to an address that it built itself, which no proxy would know."""
    application = Starlette(routes=routes)
    application.router.redirect_slashes = False
    return application


def _graphql_routes(services: Services, *, tokens: TokenVerifier, sockets: OpenSockets) -> Sequence[BaseRoute]:
    try:
        return create_graphql_routes(services, tokens=tokens, sockets=sockets)
    except InvalidManifestError as error:
        raise SettingsError(f"TRUSTED_DOCUMENTS_FILE: {error}") from error


def _trusted_documents(settings: Settings) -> tuple[TrustedDocument, ...]:
    path = settings.trusted_documents_file
    try:
        return () if path is None else read_manifest(Path(path))
    except InvalidManifestError as error:
        raise SettingsError(f"TRUSTED_DOCUMENTS_FILE: {error}") from error


async def _serve(process: Process, application: ASGIApp, sockets: OpenSockets) -> None:
    settings = process.settings

    async def drain() -> None:
        """Close the websockets. /readyz answers 503 by now; requests of clients that have not noticed are served."""
        process.telemetry.info("draining", sockets=len(sockets), drain_seconds=settings.api_drain_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.api_drain_seconds + CLOSING_SECONDS):
                await sockets.end_all(within_seconds=settings.api_drain_seconds, random=random.random)

    wanted = settings.sockets_max + settings.http_connections_max
    if (available := allow_open_files(wanted)) < wanted:
        process.telemetry.warning(
            "open_files_limited", wanted=wanted, available=available, next="raise ulimit -Hn, or lower SOCKETS_MAX"
        )
    await serve(
        application,
        host=settings.host,
        port=settings.port,
        stop_within_seconds=settings.stop_within_seconds - settings.api_drain_seconds - CLOSING_SECONDS,
        http_limits=http_limits(settings),
        websocket_limits=websocket_limits(settings),
        opened=lambda: process.telemetry.info("api_listening", host=settings.host, port=settings.port),
        drain=drain,
        refused=lambda: process.telemetry.count(Metric.CONNECTIONS_REFUSED),
        malformed=lambda: process.telemetry.count(Metric.REQUESTS_MALFORMED),
    )
