"""Somebody who can write to Redis silences alerts: the key that says that another process sends one."""

import pytest
from redis.asyncio import Redis

from runtime.alerts.deduplication import PREFIX, AlertDeduplicator
from runtime.alerts.kinds import ALERTS
from runtime.alerts.matching import alert_of

BROKEN = alert_of(ALERTS["audit_trail_broken"], {"account": "alice"})
KEY = f"{PREFIX}:{BROKEN.kind.name}:{BROKEN.fingerprint}"


@pytest.mark.parametrize("written", ["1", "", "x" * 100])
async def test_a_key_that_none_of_ours_has_written_silences_no_alert(redis_url: str, written: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.set(KEY, written)

        assert await AlertDeduplicator(redis, repeat_seconds=60).reserve([BROKEN]) == [BROKEN]
