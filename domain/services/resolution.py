"""Resolution of orders by operators: the request is stored here, and applied by a worker.

Only a worker may write executions and look up orders at the venue, so neither the API nor a person at the command line
needs a privilege or a key for it. The worker writes the order, its change and the row of the audit trail in one
statement.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.errors import InputIssue, InvalidInputError, IssueCode, UnavailableError
from domain.model.operator_actions import Actor
from domain.model.resolutions import AskVenue, Book, NewResolution, Resolution
from domain.model.values import ZERO, is_client_order_id
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.resolutions import ResolutionRequests

DONE_WITHIN = timedelta(seconds=10)
"""How long a request waits for a worker, which looks for requests twice a second and may ask the venue."""
LOOKED_AT_EVERY = timedelta(milliseconds=100)
CLOCKS_DIFFER_MAX = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionDesk:
    """The use case of requesting resolutions."""

    requests: ResolutionRequests
    clock: Clock
    new_id: NewId
    done_within: timedelta = DONE_WITHIN

    async def resolve(self, new: NewResolution) -> Resolution:
        """Store the request and return it once a worker has applied it. A repeat returns the outcome of the first.

        Raises InvalidInputError for an invalid request and for one that the worker refused, OrderNotFoundError,
        ClientRequestIdConflictError, and UnavailableError when no worker has applied it in time; then it may still be
        applied.
        """
        issues = self._issues(new)
        if issues:
            raise InvalidInputError(issues)
        done = await self._done(await self.requests.add(new))
        if done.refusal is not None:
            path = ("input", *done.refusal.field.split(".")) if done.refusal.field else ("input",)
            raise InvalidInputError([_issue(path, IssueCode.NOT_ALLOWED, done.refusal.message)])
        return done

    async def ask_venue(self, order_id: UUID, *, actor: Actor) -> Resolution:
        """Return the question with what the venue answers about the order at this moment. Raises as `resolve`."""
        asked = NewResolution(
            id=(new_id := self.new_id()),
            order_id=order_id,
            client_request_id=new_id.hex,
            action=AskVenue(),
            reason="",
            actor=actor,
        )
        return await self.resolve(asked)

    def _issues(self, new: NewResolution) -> list[InputIssue]:
        issues = []
        if not is_client_order_id(new.client_request_id):
            message = "must be 1 to 48 characters of A-Z a-z 0-9 . _ : -"
            issues.append(_issue(("input", "clientRequestId"), IssueCode.BAD_FORMAT, message))
        if isinstance(new.action, Book):
            issues += self._issues_of_booking(new.action)
        return issues

    def _issues_of_booking(self, book: Book) -> list[InputIssue]:
        path = ("input", "action", "book")
        amounts = {"quantity": book.trade.quantity, "price": book.trade.price}
        issues = [
            _issue((*path, name), IssueCode.OUT_OF_RANGE, "must be above zero")
            for name, amount in amounts.items()
            if amount <= ZERO
        ]
        if book.executed_at > self.clock() + CLOCKS_DIFFER_MAX:
            issues.append(_issue((*path, "executedAt"), IssueCode.OUT_OF_RANGE, "must not be in the future"))
        return issues

    async def _done(self, asked: Resolution) -> Resolution:
        try:
            async with asyncio.timeout(self.done_within.total_seconds()):
                while asked.done_at is None:
                    await asyncio.sleep(LOOKED_AT_EVERY.total_seconds())
                    asked = await self.requests.find(asked.id)
        except TimeoutError:
            raise UnavailableError(
                f"No worker has applied it within {self.done_within.total_seconds():g} seconds. It may still be "
                "applied within 10 minutes: repeat it with the same clientRequestId to see what became of it."
            ) from None
        return asked


def _issue(path: tuple[str, ...], code: IssueCode, message: str) -> InputIssue:
    return InputIssue(path=path, code=code, message=message)
