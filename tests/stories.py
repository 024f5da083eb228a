"""The stories over memory: everything of the domain wired together, with a venue that answers as told."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from domain.cancellation import CancelDelivery, CancelPolicy
from domain.execution import Recording
from domain.reconciliation import CatchUpPolicy, Reconciliation
from domain.submission import Submission, SubmissionPolicy
from tests.memory import (
    CountingIds,
    MemoryOrderStore,
    MemoryStreamPositions,
    RecordingPublisher,
    RecordingTelemetry,
    RecordingWakeUps,
    ScriptedVenue,
    SettableClock,
)

SUBMISSION_POLICY = SubmissionPolicy(
    max_attempts=5,
    backoff=timedelta(seconds=0.5),
    backoff_max=timedelta(seconds=30),
    settle=timedelta(seconds=5),
    lease=timedelta(seconds=60),
)
CANCEL_POLICY = CancelPolicy(
    retry=timedelta(seconds=1), confirm_within=timedelta(seconds=5), lease=timedelta(seconds=60)
)
CATCH_UP_POLICY = CatchUpPolicy(overlap=timedelta(seconds=60), first_look_back=timedelta(days=1), look_ups_max=100)


@dataclass(slots=True)
class Stories:
    """One small Fillwire in memory."""

    clock: SettableClock = field(default_factory=SettableClock)
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    wake_ups: RecordingWakeUps = field(default_factory=RecordingWakeUps)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    positions: MemoryStreamPositions = field(default_factory=MemoryStreamPositions)
    store: MemoryOrderStore = field(init=False)
    venue: ScriptedVenue = field(init=False)
    recording: Recording = field(init=False)
    submission: Submission = field(init=False)
    delivery: CancelDelivery = field(init=False)
    reconciliation: Reconciliation = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryOrderStore(self.clock)
        self.venue = ScriptedVenue(self.clock)
        self.recording = Recording(
            orders=self.store,
            publisher=self.publisher,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            clock=self.clock,
            new_id=CountingIds(),
        )
        self.submission = Submission(
            orders=self.store,
            venue=self.venue,
            recording=self.recording,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            policy=SUBMISSION_POLICY,
            random=lambda: 1.0,
            slots=asyncio.Semaphore(16),
        )
        self.delivery = CancelDelivery(
            orders=self.store,
            venue=self.venue,
            recording=self.recording,
            wake_ups=self.wake_ups,
            telemetry=self.telemetry,
            policy=CANCEL_POLICY,
            slots=asyncio.Semaphore(16),
        )
        self.reconciliation = Reconciliation(
            venue=self.venue,
            orders=self.store,
            positions=self.positions,
            recording=self.recording,
            telemetry=self.telemetry,
            clock=self.clock,
            policy=CATCH_UP_POLICY,
        )
