"""The operator of a run: takes back, by hand, what the exchange took back while nobody heard it.

A bust or correction that the stream did not bring cannot be read anywhere: the exchange then counts less than is
recorded, which is alerted as `fills_excess`, and a person compares with the exchange's statement. This operator does
so, with the journal as the statement, and only of an order that was alerted: what nobody is told of is a violation.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from graph.schema.global_ids import execution_node_id, order_node_id
from tools.chaos.arena import Arena
from tools.chaos.clients import OPERATOR, Clients, Json
from tools.chaos.evidence import StoredExecution
from tools.chaos.history import History
from tools.chaos.ledger import Ledger
from tools.chaos.truth import Journal

RESOLVE = """
mutation Resolve($input: ResolveOrderInput!) {
  resolveOrder(input: $input) { __typename ... on UserError { code message } }
}
"""
AT_ONCE_MAX = 10


@dataclass(slots=True, kw_only=True)
class Operator:
    """Busts executions by hand. `busted` are those that were, by our ids."""

    arena: Arena
    clients: Clients
    ledger: Ledger
    journal: Journal
    history: History
    busted: set[UUID] = field(default_factory=set)

    async def resolve(self, names: Iterable[str]) -> None:
        """Resolve those of the orders that were alerted, some at once. Raises one of OUTAGES."""
        alerted = [name for name in names if name in self.arena.alerted][:AT_ONCE_MAX]
        # One after the other: they share a connection.
        wrong = [each for name in alerted for each in await self._wrong_executions(name)]
        await asyncio.gather(*[self._bust(UUID(recorded.order_id), each) for each, recorded in wrong])

    async def _wrong_executions(self, name: str) -> Sequence[tuple[UUID, StoredExecution]]:
        return [
            (execution_id, recorded)
            for execution_id, recorded in await self.ledger.counted_executions(name)
            if recorded.quantity and execution_id not in self.busted and not self._is_there(recorded)
        ]

    def _is_there(self, recorded: StoredExecution) -> bool:
        there = self.journal.execution(recorded.execution_id)
        return there is not None and (there.quantity, there.price) == (recorded.quantity, recorded.price)

    async def _bust(self, order_id: UUID, execution_id: UUID) -> None:
        body: Json = {
            "orderId": order_node_id(order_id),
            "reason": "the exchange's journal",
            "clientRequestId": str(execution_id),
            "action": {"bustExecutionId": execution_node_id(execution_id)},
        }
        api = self.clients.choose(0)
        data, problem = await self.clients.ask(RESOLVE, {"input": body}, account_id=OPERATOR, api=api)
        told = problem if data is None else str(data["resolveOrder"])
        self.history.note("busted_by_hand", order_id=str(order_id), execution_id=str(execution_id), told=told)
        if data is not None and data["resolveOrder"]["__typename"] == "ResolveOrderSuccess":
            self.busted.add(execution_id)
