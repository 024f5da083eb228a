"""The worker's side of operators' requests: compare with the venue, decide, write with the row of the audit trail."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.model.errors import TransientError, VenueUnreachableError, VersionConflictError
from domain.model.operator_actions import RequestedAction, order_state
from domain.model.order import Order
from domain.model.reports import Report
from domain.model.resolutions import APPLIED_WITHIN, Adopt, AskVenue, Book, Refusal, Reread, Resolution
from domain.model.venue_chain import filled_at
from domain.ports.order_store import LoadedOrder
from domain.ports.resolutions import Resolutions
from domain.ports.telemetry import Telemetry
from domain.ports.venue import Venue, VenueOrder
from domain.services.catch_up import CatchUp
from domain.services.recording import Recording
from domain.services.resolution_rules import (
    RefusedError,
    check_adoption,
    check_identity,
    reports_of,
)
from domain.services.venue_answers import AnswerKind, VenueAnswer, ask, reports_of_open, write_answer
from domain.services.version_conflicts import retry_conflicts

TAKEN_AT_ONCE_MAX = 16
LEASE = timedelta(seconds=15)
"""How long a worker may take for one request; then it is tried again. Longer than a question to the venue takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """The use case of applying requests."""

    requests: Resolutions
    venue: Venue
    recording: Recording
    fills: CatchUp
    telemetry: Telemetry

    async def work(self) -> bool:
        """Apply waiting requests; return True when there may be more. Raises UnavailableError."""
        taken = await self.requests.take(limit=TAKEN_AT_ONCE_MAX, lease=LEASE)
        for one in taken:
            await self._apply_or_log(one)
        return len(taken) == TAKEN_AT_ONCE_MAX

    async def _apply_or_log(self, asked: Resolution) -> None:
        try:
            await self._apply(asked)
        except RefusedError as error:
            self.telemetry.warning("order_not_resolved", **_named(asked), error=str(error), next="the operator decides")
            await self.requests.refuse(asked.id, error.refusal)
        except TransientError as error:
            self.telemetry.warning("resolution_postponed", **_named(asked), error=str(error), next="tried again")
        except Exception as error:  # noqa: BLE001 - one request must not block the others
            self.telemetry.error("resolution_failed", **_named(asked), error=repr(error), next="refused")
            await self.requests.refuse(asked.id, Refusal(field="", message="It could not be applied: see the log."))

    async def _apply(self, asked: Resolution) -> None:
        if self.recording.clock() - asked.asked_at > APPLIED_WITHIN:
            raise RefusedError("", "No worker took it in time. Ask again, with another clientRequestId.")
        row = await self._row(asked)
        match asked.action:
            case AskVenue():
                await self.requests.answer(asked.id, write_answer(await self._answer(row)))
                return
            case Reread():
                await self._reread(asked, row)
            case Adopt(venue_order_id=name):
                found = check_adoption(row, await self.venue.find_by_venue_order_id(name), asked_for=name)
                await self._commit(asked, row, answer=None, found=found)
                await self._record_fills(row.order, found)
            case Book(venue_execution_id=str() as stated):
                book = replace(asked.action, venue_execution_id=self.venue.execution_id(stated))
                await self._commit(replace(asked, action=book), row, answer=await self._answer(row), found=None)
            case _:
                await self._commit(asked, row, answer=await self._answer(row), found=None)
        self.telemetry.warning("order_resolved", **_named(asked), next="its account sees a change")

    async def _row(self, asked: Resolution) -> LoadedOrder:
        row = await self.recording.orders.load_whole(asked.order_id)
        if row is None:
            raise RefusedError("orderId", "There is no such order.")
        return row

    async def _answer(self, row: LoadedOrder) -> VenueAnswer:
        return await ask(self.venue, row.order, now=self.recording.clock())

    async def _reread(self, asked: Resolution, row: LoadedOrder) -> None:
        """Record what the venue shows as reconciliation does, and put the question itself into the trail."""
        answer, before = await self._answer(row), row.order
        if answer.outcome is AnswerKind.NO_ANSWER:
            raise RefusedError("action.reread", f"The venue gave no usable answer: {answer.error}")
        if answer.order is not None:
            for found in answer.found:
                check_identity(row, found, field="action.reread")
                reports = reports_of_open(found, at=answer.asked_at)
                await self.recording.record({before.venue_client_order_id: reports})
                await self._record_fills(before, found)
        after = (await self._row(asked)).order
        await self.requests.complete(asked.id, before=order_state(before), after=_state_after(after, answer))

    async def _commit(
        self, asked: Resolution, row: LoadedOrder, *, answer: VenueAnswer | None, found: VenueOrder | None
    ) -> None:
        """Write what the operator decided; read and decide again while others change the order."""

        async def write(row: LoadedOrder) -> None:
            reports = reports_of(asked, row, answer=answer, found=found, now=self.recording.clock())
            try:
                await self._write(asked, row, reports, answer=answer)
            except VersionConflictError:
                if (await self.requests.find(asked.id)).done_at is None:
                    raise
                # Another worker did it, whose predecessor's lease had ended.

        await retry_conflicts(write, read=lambda: self._row(asked), first=row)

    async def _write(
        self, asked: Resolution, row: LoadedOrder, reports: Sequence[Report], *, answer: VenueAnswer | None
    ) -> None:
        decision = self.recording.decide(row, reports)
        if not decision.applied.changes:
            raise RefusedError("action", "That is what is recorded already.")
        state_after = _state_after(decision.applied.order, answer)
        action = RequestedAction(resolution_id=asked.id, before=order_state(row.order), after=state_after)
        await self.recording.commit([decision], action=action)

    async def _record_fills(self, order: Order, found: VenueOrder) -> None:
        """Read the order's fills when the venue has filled more than is recorded. What fails is left to the repair.

        By the order's own id: the list of all fills since an old order began takes hours, and all requests wait.
        """
        rows = await self.recording.orders.load([order.id])
        if filled_at(rows[order.id].order.facts, found.venue_order_id) >= found.filled_quantity:
            return
        try:
            async with aclosing(self.venue.fills_of(found.venue_order_id)) as pages:
                async for page in pages:
                    await self.fills.record_listed(page)
        except VenueUnreachableError as error:
            self.telemetry.warning(
                "fills_not_read", order_id=str(order.id), error=str(error), next="read again by reconciliation"
            )


def _state_after(order: Order, answer: VenueAnswer | None) -> str:
    """Return the order's state for the trail, with what the venue answered at that moment."""
    shown = json.loads(order_state(order))
    if answer is not None:
        shown["venue"] = answer.outcome
    return json.dumps(shown, sort_keys=True, separators=(",", ":"))


def _named(asked: Resolution) -> dict[str, str]:
    return {
        "resolution_id": str(asked.id),
        "order_id": str(asked.order_id),
        "action": type(asked.action).__name__,
        "reason": asked.reason,
    }
