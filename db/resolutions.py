"""Operators' requests to resolve orders, in PostgreSQL."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from db.columns import MESSAGE_MAX_CHARACTERS
from db.database import Database, Row
from db.operator_actions import STATE_MAX_CHARACTERS, short
from domain.model.errors import ClientRequestIdConflictError, OrderNotFoundError
from domain.model.resolutions import KINDS, NewResolution, Refusal, Resolution, arguments_text, read_action
from domain.model.values import storable
from domain.ports.resolutions import ResolutionRequests, Resolutions

ADD = """
INSERT INTO resolutions (
    id, order_id, subject, client_request_id, action, arguments, reason, actor, token_id, address
)
SELECT $1::uuid, o.id, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text
FROM orders AS o WHERE o.id = $2::uuid
ON CONFLICT (order_id, subject, client_request_id) DO NOTHING
"""
FIND = "SELECT r.* FROM resolutions AS r WHERE r.id = $1"
FIND_REPEATED = """
SELECT r.* FROM resolutions AS r WHERE r.order_id = $1 AND r.subject = $2 AND r.client_request_id = $3
"""
TAKE = """
UPDATE resolutions AS r SET lease_until = now() + $2::interval
WHERE r.id IN (
    SELECT w.id FROM resolutions AS w
    WHERE w.done_at IS NULL AND (w.lease_until IS NULL OR w.lease_until < now())
    ORDER BY w.action = 'VENUE_ASKED', w.asked_at LIMIT $1::int
    FOR UPDATE SKIP LOCKED
)
RETURNING r.*
"""
COMPLETE = "SELECT append_resolution_action($1::uuid, $2::text, $3::text)"
REFUSE = """
UPDATE resolutions AS r SET done_at = now(), lease_until = NULL, refused_field = $2, refusal = $3
WHERE r.id = $1 AND r.done_at IS NULL
"""
ANSWER = """
UPDATE resolutions AS r SET done_at = now(), lease_until = NULL, answer = $2 WHERE r.id = $1 AND r.done_at IS NULL
"""

UNREADABLE = "The worker's release cannot read it. Ask again once all processes have one release."


def append_requested(first_parameter: int) -> str:
    """Return the SQL expression that completes a request and appends its action to the trail.

    Its parameters are the request's id and the order's state before and after, from `$first_parameter` on.
    """
    resolution_id, before, after = range(first_parameter, first_parameter + 3)
    return f"append_resolution_action(${resolution_id}::uuid, ${before}::text, ${after}::text)"


@dataclass(frozen=True, slots=True)
class PostgresResolutions(ResolutionRequests, Resolutions):
    """The requests, for the operators' side and for workers."""

    database: Database

    async def add(self, new: NewResolution) -> Resolution:
        subject, kind, arguments = short(new.actor.subject), str(KINDS[type(new.action)]), arguments_text(new.action)
        reason = storable(new.reason, max_characters=MESSAGE_MAX_CHARACTERS)
        actor = new.actor
        await self.database.fetch(
            ADD,
            *(new.id, new.order_id, subject, new.client_request_id, kind, arguments, reason),
            *(short(actor.full_name), short(actor.token_id), short(actor.address)),
        )
        rows = await self.database.fetch(FIND_REPEATED, new.order_id, subject, new.client_request_id)
        if not rows:
            raise OrderNotFoundError
        if (rows[0]["action"], rows[0]["arguments"], rows[0]["reason"]) != (kind, arguments, reason):
            raise ClientRequestIdConflictError(new.client_request_id)
        return resolution_of(rows[0])

    async def find(self, resolution_id: UUID) -> Resolution:
        (row,) = await self.database.fetch(FIND, resolution_id)
        return resolution_of(row)

    async def take(self, *, limit: int, lease: timedelta) -> Sequence[Resolution]:
        taken = []
        for row in await self.database.fetch(TAKE, limit, lease):
            try:
                taken.append(resolution_of(row))
            except (KeyError, ValueError, TypeError, ArithmeticError):
                # Left as it is it would be taken again and again, and the others of its portion with it.
                await self.refuse(row["id"], Refusal(field="action", message=UNREADABLE))
        return sorted(taken, key=lambda one: (one.is_question, one.asked_at))

    async def complete(self, resolution_id: UUID, *, before: str, after: str) -> None:
        states = [storable(text, max_characters=STATE_MAX_CHARACTERS) for text in (before, after)]
        await self.database.fetch(COMPLETE, resolution_id, *states)

    async def refuse(self, resolution_id: UUID, refusal: Refusal) -> None:
        message = storable(refusal.message, max_characters=MESSAGE_MAX_CHARACTERS)
        await self.database.fetch(REFUSE, resolution_id, refusal.field, message)

    async def answer(self, resolution_id: UUID, answer: str) -> None:
        await self.database.fetch(ANSWER, resolution_id, storable(answer, max_characters=STATE_MAX_CHARACTERS))


def resolution_of(row: Row) -> Resolution:
    """Return the request of a row of `resolutions`."""
    return Resolution(
        id=row["id"],
        order_id=row["order_id"],
        action=read_action(row["action"], json.loads(row["arguments"])),
        reason=row["reason"],
        asked_at=row["asked_at"],
        done_at=row["done_at"],
        refusal=None if row["refusal"] is None else Refusal(field=row["refused_field"], message=row["refusal"]),
        answer=row["answer"],
    )
