"""The operator of a run busts executions that the exchange busted without an event, where that was alerted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from tools.chaos.arena import ALERTED, Alert, Arena
from tools.chaos.clients import OPERATOR, Clients, Json
from tools.chaos.evidence import StoredExecution
from tools.chaos.halts import Halts
from tools.chaos.history import History
from tools.chaos.ledger import Ledger
from tools.chaos.operators import Operator
from tools.chaos.truth import Journal

NAME = "fwceiwpf7fl6-o3pwfr24lyqxei2axd7z6yefxz4dyqhs"
ORDER, FIRST, SECOND = UUID(int=1), UUID(int=2), UUID(int=3)
LINE = (
    f"12:00:00.000 [error] fills_excess counted=178 next='by hand' order_id={ORDER} recorded=297 "
    f"venue_client_order_id={NAME} venue_order_id=v-1"
)
EVENT = {"kind": "event", "order_id": "v-1", "client_order_id": NAME, "price": "10"}


@dataclass(slots=True)
class FakeClients:
    """Accepts every request, and records it."""

    asked: list[Json] = field(default_factory=list)
    urls: Sequence[str] = ("http://api",)

    def choose(self, api: int) -> int:
        return api

    async def ask(self, _query: str, variables: Json, *, account_id: str, api: int) -> tuple[Json, str]:
        assert (account_id, api) == (OPERATOR, 0)
        self.asked.append(variables["input"])
        done = {"__typename": "ResolveOrderSuccess"}
        return {"resolveOrder": done, "resumeTrading": {"__typename": "ResumeTradingSuccess"}}, ""


def _operator(clients: FakeClients, *, alerts: set[Alert], halted: Sequence[str] = ()) -> Operator:
    """Return an operator of an order whose correction, x-3 of x-1, was recorded as a fill in addition to the
    corrected one.
    """
    journal = Journal()
    accepted = {"kind": "order", "order_id": "v-1", "client_order_id": NAME, "symbol": "AAPL", "qty": "5"}
    fill = EVENT | {"event": "partial_fill", "execution_id": "x-1", "qty": "2"}
    corrected = EVENT | {"event": "trade_correct", "execution_id": "x-3", "previous_execution_id": "x-1", "qty": "1"}
    journal.take([accepted, fill, corrected])

    async def counted_executions(_order_id: UUID) -> list[tuple[UUID, StoredExecution]]:
        return [(FIRST, _recorded("x-1", 2)), (SECOND, _recorded("x-3", 1))]

    async def halted_accounts() -> list[str]:
        return list(halted)

    history = cast("History", SimpleNamespace(note=lambda *_args, **_fields: None))
    return Operator(
        arena=cast("Arena", SimpleNamespace(alerts=alerts)),
        clients=cast("Clients", clients),
        ledger=cast("Ledger", SimpleNamespace(counted_executions=counted_executions, halted_accounts=halted_accounts)),
        halts=Halts(clients=cast("Clients", clients), history=history, seed=1),
        journal=journal,
        history=history,
    )


def _recorded(execution_id: str, quantity: int) -> StoredExecution:
    return StoredExecution(
        execution_id=execution_id, order_id=str(ORDER), quantity=Decimal(quantity), price=Decimal(10)
    )


async def test_only_executions_missing_at_the_exchange_are_busted_once() -> None:
    clients = FakeClients()
    operator = _operator(clients, alerts={("fills_excess", str(ORDER), "v-1")})

    await operator.resolve()
    await operator.resolve()

    (asked,) = clients.asked
    assert asked["action"] == {"bustExecutionId": f"exe_{FIRST.hex}"}
    assert asked["orderId"] == f"ord_{ORDER.hex}"
    assert list(operator.resolved.values()) == ["busted by hand"]


async def test_an_order_that_the_exchange_has_under_other_terms_is_adopted() -> None:
    clients = FakeClients()

    await _operator(clients, alerts={("venue_order_mismatch", str(ORDER), "v-1")}).resolve()

    assert [asked["action"] for asked in clients.asked] == [{"adoptVenueOrderId": "v-1"}]


async def test_a_halt_that_began_after_the_request_to_resume_is_ended() -> None:
    clients = FakeClients()

    await _operator(clients, alerts=set(), halted=["account-7"]).resolve()

    assert [asked["accountId"] for asked in clients.asked] == ["account-7"]


async def test_an_order_that_was_not_alerted_is_left_as_it_is() -> None:
    clients = FakeClients()

    await _operator(clients, alerts=set()).resolve()

    assert clients.asked == []


@pytest.mark.parametrize(
    ("line", "alert"),
    [
        (LINE, ("fills_excess", str(ORDER), "v-1")),
        (LINE.replace("fills_excess", "venue_order_mismatch"), ("venue_order_mismatch", str(ORDER), "v-1")),
        (LINE.replace("excess", "missing"), None),
        (LINE.replace("fills_excess", "repeated").replace("next", "of=fills_excess next"), None),
    ],
)
def test_an_alert_names_its_order(line: str, alert: Alert | None) -> None:
    found: Any = ALERTED.search(line)

    assert (found and found.groups()) == alert
