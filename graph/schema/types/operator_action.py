"""The audit trail of operators' actions in public form."""

from datetime import datetime

import strawberry

from domain.model import operator_actions
from graph.schema.global_ids import action_node_id, order_node_id
from graph.schema.types.node import Node


@strawberry.type(
    description=(
        "What an operator did, over this API or at the command line. It is stored together with what was done, never "
        "changed, and chained by hashes. Operators only."
    )
)
class OperatorAction(Node):
    at: datetime = strawberry.field(description="When it was stored, by the database's clock.")
    actor: str = strawberry.field(
        description="The subject of the token, or the user of the operating system, such as os:alice@host."
    )
    action: str = strawberry.field(
        description="What was done. Treat a word that you do not know as an action of a later version: "
        + ", ".join(operator_actions.ActionKind)
        + "."
    )
    account_id: strawberry.ID | None = strawberry.field(description="Null: all accounts, or none in particular.")
    order_id: strawberry.ID | None = strawberry.field(description="The order that it was done to, if it was one.")
    reason: str = strawberry.field(description="Why, in the operator's words; empty when none was given.")
    before: str | None = strawberry.field(description="What there was before, as JSON; null: nothing.")
    after: str | None = strawberry.field(description="What there was afterwards, as JSON; null: nothing.")
    hash: str = strawberry.field(description="The hash of the chain behind it: SHA-256 in hexadecimal.")


def action_from(action: operator_actions.OperatorAction) -> OperatorAction:
    """Return the action in public form."""
    return OperatorAction(
        id=action_node_id(action.id),
        at=action.at,
        actor=action.actor,
        action=action.action,
        account_id=None if action.account_id is None else strawberry.ID(action.account_id),
        order_id=None if action.order_id is None else order_node_id(action.order_id),
        reason=action.reason,
        before=action.before,
        after=action.after,
        hash=action.hash,
    )
