"""Wires the consumer of the venue's execution stream, as `runtime.wiring` does the services."""

from datetime import timedelta

from domain.ports.venue import VenueStream
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.reconciliation import Reconciliation
from ingest.batch_recorder import DEAD_LETTER_SOURCE, BatchRecorder
from ingest.consumer import Consumer, ConsumerPolicy
from ingest.unmatched_reports import UnmatchedReports
from runtime.adapters import Stores, WiredProcess
from runtime.settings import Settings


def make_consumer(
    process: WiredProcess, stores: Stores, stream: VenueStream, reconciliation: Reconciliation
) -> Consumer:
    """Return the consumer of the stream for one term of leadership, which records as reconciliation does."""
    settings = process.settings
    unmatched = UnmatchedReports(
        reports_max=settings.unknown_order_reports_max, wait_seconds=settings.unknown_order_wait_seconds
    )
    unresolved = UnmatchedReports(
        reports_max=settings.unresolved_reports_max, wait_seconds=settings.unresolved_wait_seconds
    )
    return Consumer(
        stream=stream,
        recorder=BatchRecorder(
            catch_up=reconciliation.fills,
            dead_letters=DeadLetterKeeper(
                source=DEAD_LETTER_SOURCE, dead_letters=stores.dead_letters, telemetry=process.telemetry
            ),
            unmatched=unmatched,
            unresolved=unresolved,
            telemetry=process.telemetry,
            clock=process.clock,
            retry=timedelta(seconds=settings.ingest_retry_seconds),
        ),
        reconciliation=reconciliation,
        telemetry=process.telemetry,
        policy=_policy(settings),
    )


def _policy(settings: Settings) -> ConsumerPolicy:
    return ConsumerPolicy(
        buffer_items_max=settings.ingest_buffer_reports_max,
        batch_items_max=settings.ingest_batch_reports_max,
        batch_within=timedelta(milliseconds=settings.ingest_batch_within_ms),
        reconnect_first=timedelta(seconds=settings.stream_reconnect_seconds),
        reconnect_max=timedelta(seconds=settings.stream_reconnect_max_seconds),
        session_min=timedelta(seconds=settings.stream_session_min_seconds),
        catch_up_every=timedelta(seconds=settings.catch_up_every_seconds),
        catch_up_pause=timedelta(seconds=settings.catch_up_pause_seconds),
        catch_up_disconnected=timedelta(seconds=settings.catch_up_unheard_seconds),
        silence=timedelta(seconds=settings.stream_silence_seconds),
        unmatched_retry=timedelta(seconds=settings.unknown_order_retry_seconds),
    )
