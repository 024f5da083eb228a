"""SAQ's queue with less trust: an entry in Redis may have been written by any client, or by a dead worker."""

import math
import time
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from redis.asyncio import Redis
from saq import Job, Status
from saq.queue.redis import RedisQueue
from saq.types import WorkerInfo

from domain.ports.telemetry import Metric, Telemetry
from jobs.queue_outage import QueueOutage
from jobs.stored_job import JOB_MAX_BYTES, StoredJob

MILLISECONDS = 1_000  # SAQ's unit of times, but for `scheduled`.
AHEAD_MAX = timedelta(minutes=10)
"""A job that is due later than that was put off by a process whose clock is wrong. Ours run at once; those of the last
release and of whoever writes to Redis may be put off."""
SWEPT_AT_ONCE_MAX = 1_000
TAKE = "take a job"
SCHEDULE = "queue due jobs"
SWEEP = "sweep dead jobs"
TELL = "tell that the worker lives"
TRIED_RARELY = (SWEEP, TELL)
PROBE_SECONDS = 0.1
"""How long the first job is waited for after a failure: the other tasks wait for the answer."""
PROBE_KEY = "readiness"
PROBE_KEPT_MILLISECONDS = 1_000

Result = TypeVar("Result")


class WakeUpQueue(RedisQueue):
    """SAQ's queue with checks of its entries, and with another removal of the jobs of dead workers and of wrong clocks.

    SAQ removes a dead worker's jobs one by one, waits five seconds for each, and never deletes a job's key when it is
    killed meanwhile. A wake-up is not worth that: its orders are in the database, and the sweeper has found them
    before. For the same reason it is harmless to delete jobs that are postponed for long, and entries that are not our
    jobs.
    """

    def __init__(self, redis: Redis, *, telemetry: Telemetry, **options: Any) -> None:
        super().__init__(redis, **options)
        self._telemetry = telemetry
        self.outage = QueueOutage(telemetry)
        self._types = {self._queued: b"list", self._active: b"list", self._incomplete: b"zset", self._stats: b"zset"}

    def deserialize(
        self, payload: dict[str, Any] | str | bytes | None, status: Status | str | None = None
    ) -> Job | None:
        """Return the job, or None for an entry without the form of our jobs."""
        if not payload:
            return None
        try:
            stored = StoredJob.model_validate_json(orjson.dumps(payload) if isinstance(payload, dict) else payload)
        except ValidationError as error:
            self._note_refused(f"{error.error_count()} of its values are not those of a job")
            return None
        return Job(**(stored.model_dump() | {"queue": self, "status": status or stored.status}))

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ARG002, ASYNC109 - SAQ's signature
        """Wait for the next job. Other entries are deleted and return None, like a time-out and a failure of Redis.

        SAQ itself would not log a failure, and would retry immediately, in each of its tasks.
        """
        if self.outage.is_failing(TAKE) and await self.outage.turn(TAKE):
            timeout = PROBE_SECONDS
        return await self._noting(TAKE, self._take(timeout), otherwise=None)

    async def schedule(self, lock: int = 1) -> list[str]:
        """Queue the jobs that have become due."""
        return await self._noting(SCHEDULE, super().schedule(lock), otherwise=[])

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        """Write this worker's entry for monitoring of the queue."""
        await self._noting(TELL, super().write_worker_info(worker_id, info, ttl), otherwise=None)

    async def check(self) -> None:
        """Raise the client's error unless Redis accepts writes."""
        await self.redis.set(self.job_id(PROBE_KEY), b"", px=PROBE_KEPT_MILLISECONDS)

    async def notify(self, job: Job) -> None:
        """Publish nothing: SAQ publishes each step of a job, and nothing here waits for one."""

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:  # noqa: ARG002 - SAQ's signature
        """Delete, in one step, jobs that have been running for longer than their time-out, and jobs due too far in the
        future.

        Return the keys of the jobs.
        """
        return await self._noting(SWEEP, self._sweep_once(), otherwise=[])

    async def _noting(self, operation: str, work: Coroutine[Any, Any, Result], *, otherwise: Result) -> Result:
        try:
            result = await work
        except Exception as error:  # noqa: BLE001 - after any error of the client the queue is retried later
            self.outage.note_failure(operation, error)
            return otherwise
        self.outage.note_success(operation, ends_also=TRIED_RARELY if operation == TAKE else ())
        return result

    async def _take(self, timeout_seconds: float) -> Job | None:
        job_id = await self.redis.blmove(self._queued, self._active, timeout_seconds, "LEFT", "RIGHT")  # type: ignore[arg-type] # redis types seconds as int
        if job_id is None:
            return None
        job = await self._get_job_by_id(job_id)
        if job is None:
            await self._forget([job_id], [job_id])
        return job

    async def _sweep_once(self) -> list[str]:
        await self._delete_wrong_types()
        in_work = await self.redis.lrange(self._active, 0, SWEPT_AT_ONCE_MAX - 1)  # type: ignore[misc] # redis types it as perhaps synchronous
        stored = await self._read(in_work)
        dead = [key for key, job in zip(in_work, stored, strict=True) if _is_dead(job)]
        latest = time.time() + AHEAD_MAX.total_seconds()
        ahead = await self.redis.zrangebyscore(self._incomplete, latest, math.inf, start=0, num=SWEPT_AT_ONCE_MAX)
        forgotten = [*dead, *ahead]
        if forgotten:
            await self._forget(dead, forgotten)
        return [key.decode(errors="replace") for key in forgotten]

    async def _get_job_by_id(self, job_id: bytes | str) -> Job | None:
        async with self._op_sem:
            [job] = await self._read([job_id])
        return job

    async def _read(self, job_ids: Sequence[bytes | str]) -> Sequence[Job | None]:
        """Read the jobs under these ids; None where there is none of ours. At most the size of a job is fetched."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.getrange(job_id, 0, JOB_MAX_BYTES)
            stored = await pipe.execute(raise_on_error=False)
        return [self._job(job_id, content) for job_id, content in zip(job_ids, stored, strict=True)]

    def _job(self, job_id: bytes | str, content: bytes | Exception) -> Job | None:
        if isinstance(content, Exception) or len(content) > JOB_MAX_BYTES:
            self._note_refused(repr(content) if isinstance(content, Exception) else "it is longer than a job")
            return None
        job = self.deserialize(content)
        if job is not None and job.id != (job_id if isinstance(job_id, str) else job_id.decode(errors="replace")):
            self._note_refused("it has another job's key")
            return None
        return job

    async def _forget(self, in_work: Sequence[bytes], known: Sequence[bytes]) -> None:
        """Remove the first from the running jobs, and the second from all known ones, with their stored data."""
        # An id may name any key; those that are not a job's are not ours to delete.
        ours = [key for key in known if key.startswith(self.job_id("").encode())]
        async with self.redis.pipeline(transaction=True) as pipe:
            for key in in_work:
                pipe.lrem(self._active, 0, key)  # type: ignore[arg-type] # redis types a value as a text
            pipe.zrem(self._incomplete, *known)
            if ours:
                pipe.delete(*ours)
            await pipe.execute()

    async def _delete_wrong_types(self) -> None:
        """Delete a list or a set of the queue that was replaced by another type."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in self._types:
                pipe.type(key)
            found = await pipe.execute()
        wrong = [
            key for (key, kind), is_now in zip(self._types.items(), found, strict=True) if is_now not in (kind, b"none")
        ]
        if wrong:
            self._note_refused(f"instead of the queue's own: {', '.join(wrong)}")
            await self.redis.delete(*wrong)

    def _note_refused(self, problem: str) -> None:
        self._telemetry.count(Metric.JOBS_REFUSED)
        self._telemetry.warning("job_refused", problem=problem, next="deleted; the sweeper goes by the database")


def _is_dead(job: Job | None) -> bool:
    """Return whether the job started longer ago than it may take, or, by a wrong clock, that far in the future.

    A worker may crash before it has recorded the start: then the time counts from when the job was due.
    """
    if job is None:
        return True
    began = job.started if job.status is Status.ACTIVE else max(job.queued, job.scheduled * MILLISECONDS)
    return abs(time.time() - began / MILLISECONDS) > job.timeout
