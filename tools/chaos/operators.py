"""The operator of a run: resolves by hand what cannot be resolved automatically, with the exchange's journal as the
statement.

- A bust or correction that the stream did not send is in no list. The exchange then counts less than is recorded, which
  is alerted as `fills_excess`: the executions that it does not have are busted.
- An order whose terms were changed before it was known here is not recognized as ours: `venue_order_mismatch`. The
  exchange's order is adopted.

Only alerted orders are resolved: a difference without an alert is a violation.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from graph.schema.global_ids import execution_node_id, order_node_id
from tools.chaos.arena import Arena
from tools.chaos.clients import OPERATOR, Clients, Json
from tools.chaos.evidence import StoredExecution
from tools.chaos.halts import Halts
from tools.chaos.history import History
from tools.chaos.ledger import Ledger
from tools.chaos.truth import Journal

RESOLVE = """
mutation Resolve($input: ResolveOrderInput!) {
  resolveOrder(input: $input) { __typename ... on UserError { code message } }
}
"""
AT_ONCE_MAX = 10
DONE = {"bustExecutionId": "busted by hand", "adoptVenueOrderId": "adopted by hand"}

Action = Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Operator:
    """Resolves orders. `resolved` counts actions by the ids that they were applied to."""

    arena: Arena
    clients: Clients
    ledger: Ledger
    journal: Journal
    history: History
    halts: Halts
    resolved: dict[str, str] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    async def resolve(self) -> None:
        """Resolve the alerts so far. Raises one of OUTAGES.

        A halt whose request was not answered may begin after the request to resume: it is ended, too.
        """
        await self.halts.resume(await self.ledger.halted_accounts())
        actions: list[tuple[UUID, Action]] = []
        for event, order_id, venue_order_id in sorted(self.arena.alerts):
            order = UUID(order_id)
            if event == "venue_order_mismatch":
                actions.append((order, {"adoptVenueOrderId": venue_order_id}))
            else:
                # One order after the other: they share a connection.
                wrong = await self._wrong_executions(order)
                actions += [(order, {"bustExecutionId": execution_node_id(each)}) for each in wrong]
        done = self.resolved.keys() | self._refused
        due = [each for each in actions if _key(each[1]) not in done]
        for first in range(0, len(due), AT_ONCE_MAX):
            portion = due[first : first + AT_ONCE_MAX]
            await asyncio.gather(*[self._resolve(order_id, action) for order_id, action in portion])

    async def _wrong_executions(self, order_id: UUID) -> Sequence[UUID]:
        recorded = await self.ledger.counted_executions(order_id)
        return [execution_id for execution_id, one in recorded if one.quantity and not self._is_there(one)]

    def _is_there(self, recorded: StoredExecution) -> bool:
        there = self.journal.execution(recorded.execution_id)
        return there is not None and (there.quantity, there.price) == (recorded.quantity, recorded.price)

    async def _resolve(self, order_id: UUID, action: Action) -> None:
        body: Json = {
            "orderId": order_node_id(order_id),
            "reason": "the exchange's journal",
            "clientRequestId": _key(action),
            "action": dict(action),
        }
        data, problem = await self.clients.ask(
            RESOLVE, {"input": body}, account_id=OPERATOR, api=self.clients.choose(0)
        )
        told = problem if data is None else str(data["resolveOrder"])
        self.history.note("resolved", order_id=str(order_id), action=action, told=told)
        outcome = None if data is None else data["resolveOrder"]["__typename"]
        if outcome == "ResolveOrderSuccess":
            self.resolved[_key(action)] = DONE[next(iter(action))]
        elif outcome not in {None, "Unavailable"}:
            self._refused.add(_key(action))  # It was resolved automatically meanwhile, or cannot be resolved.


def _key(action: Action) -> str:
    return "".join(action.values())
