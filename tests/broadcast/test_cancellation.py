"""Publisher and hub end also when the cancellation is lost on the way, as in redis-py's writes before Python 3.12."""

import asyncio
from contextlib import suppress

import pytest
from redis.asyncio.client import Pipeline

from broadcast.link import RedisLink
from broadcast.publisher import open_publisher
from broadcast.settings import PublisherSettings
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.live_feeds import a_feed
from tests.support.signed_messages import SIGNER

WITHIN_SECONDS = 10.0


class LostCancellation:
    """A write that runs until it is cancelled, and then has just ended."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()

    async def write(self, *_: object) -> list[object]:
        self.has_begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return []


async def test_a_hub_ends_though_its_check_of_the_link_has_lost_the_cancellation(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = LostCancellation()
    monkeypatch.setattr(RedisLink, "check", check.write)

    async with asyncio.timeout(WITHIN_SECONDS), a_feed(ChangeHistory(), redis_url=redis_url):
        await check.has_begun.wait()


async def test_a_publisher_ends_though_its_write_has_lost_the_cancellation(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = LostCancellation()
    monkeypatch.setattr(Pipeline, "execute", execute.write)
    settings = PublisherSettings(send_timeout_seconds=WITHIN_SECONDS * 2, flush_timeout_seconds=0.1)
    change = ChangeHistory().append(a_snapshot())

    async with (
        asyncio.timeout(WITHIN_SECONDS),
        open_publisher(redis_url, signer=SIGNER, settings=settings, telemetry=RecordingTelemetry()) as publisher,
    ):
        publisher.publish([change])
        await execute.has_begun.wait()
