"""The trail of operators' actions: how a statement that does one stores it, and how they are read.

A statement that performs an operator's action also selects from `append_action`: so there is no action without its row,
and no row without its action. It selects it last, after all its other locks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, literal, select

from db.audit_tables import ACTOR_MAX_CHARACTERS, operator_actions
from db.columns import MESSAGE_MAX_CHARACTERS
from db.database import Database, Row
from db.keyset import Keyset, read_page
from domain.model.operator_actions import ActionFilter, NewAction, OperatorAction
from domain.model.order_query import Page, PageRequest
from domain.model.values import storable
from domain.ports.audit import OperatorActions

STATE_MAX_CHARACTERS = 100_000
"""Far more than any state has: what is before and after an action is bounded where it is taken in."""

_PARAMETER_TYPES = ("uuid", "text", "text", "text", "text", "text", "uuid", "text", "text", "text")
_NEWEST_FIRST: Keyset[int] = Keyset(
    columns=(operator_actions.c.sequence,), values=lambda key: (literal(key, BigInteger),), descending=True
)


def append_action(first_parameter: int) -> str:
    """Return the SQL expression that appends an action, and is its sequence.

    `action_arguments` are its parameters, from `$first_parameter` on. Evaluate it once, from what was done:
    `SELECT <expression> FROM done`, where `done` returns one row if the action was done, and none if it was not.
    """
    parameters = (f"${number}::{name}" for number, name in enumerate(_PARAMETER_TYPES, start=first_parameter))
    return f"append_operator_action({', '.join(parameters)})"


def action_arguments(action: NewAction) -> Sequence[object]:
    """Return the arguments for `append_action`."""
    actor = action.actor
    return (
        action.id,
        short(actor.full_name),
        short(actor.token_id),
        short(actor.address),
        action.kind.value,
        action.account_id,
        action.order_id,
        storable(action.reason, max_characters=MESSAGE_MAX_CHARACTERS),
        action.before and storable(action.before, max_characters=STATE_MAX_CHARACTERS),
        action.after and storable(action.after, max_characters=STATE_MAX_CHARACTERS),
    )


@dataclass(frozen=True, slots=True)
class PostgresOperatorActions(OperatorActions):
    """The trail in PostgreSQL."""

    database: Database

    async def page(self, request: PageRequest[int], *, filter: ActionFilter) -> Page[OperatorAction]:  # noqa: A002 - the port's parameter name
        rows = select(*operator_actions.columns)
        if filter.account_id is not None:
            rows = rows.where(operator_actions.c.account_id == filter.account_id)
        if filter.order_id is not None:
            rows = rows.where(operator_actions.c.order_id == filter.order_id)
        return await read_page(self.database, rows, request, keyset=_NEWEST_FIRST, item_of=action_of)

    async def find(self, action_ids: Collection[UUID]) -> Sequence[OperatorAction]:
        rows = select(*operator_actions.columns).where(operator_actions.c.id.in_(action_ids))
        return [action_of(row) for row in await self.database.select(rows)]


def action_of(row: Row) -> OperatorAction:
    """Return the action of a row of `operator_actions`."""
    return OperatorAction(
        sequence=row["sequence"],
        id=row["id"],
        at=row["at"],
        actor=row["actor"],
        token_id=row["token_id"],
        address=row["address"],
        action=row["action"],
        account_id=row["account_id"],
        order_id=row["order_id"],
        reason=row["reason"],
        before=row["before"],
        after=row["after"],
        hash=row["hash"],
    )


def short(text: str | None) -> str | None:
    """Return the text as the columns of an actor keep it, None where there is none."""
    # An empty text is none: the columns forbid it.
    return storable(text, max_characters=ACTOR_MAX_CHARACTERS) if text else None
