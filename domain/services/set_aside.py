"""Recording of a batch of reports of which one may be impossible to record: it must not keep the others from it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from domain.model.errors import LeadershipLostError, TransientError, VersionConflictError
from domain.ports.venue import VenueReport
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.pipeline import PipelineTicket

Result = TypeVar("Result")


async def record_or_set_aside(
    reports: Sequence[VenueReport],
    record: Callable[[Sequence[VenueReport], PipelineTicket], Awaitable[Result]],
    *,
    ticket: PipelineTicket,
    dead_letters: DeadLetterKeeper,
) -> Sequence[Result]:
    """Record the reports as one batch, or else one by one; one that fails alone is stored as a dead letter.

    Return the results of what was recorded. Raises TransientError and LeadershipLostError, which are about no report.
    """
    try:
        return [await record(reports, ticket)]
    except (TransientError, LeadershipLostError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is about one of the reports
        with suppress(VersionConflictError):
            await ticket.wait()
        if len(reports) == 1:
            await dead_letters.keep(reports[0], error=repr(error))
            return []
    results: list[Result] = []
    for report in reports:
        results += await record_or_set_aside([report], record, ticket=PipelineTicket(), dead_letters=dead_letters)
    return results
