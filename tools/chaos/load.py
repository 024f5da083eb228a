"""The load: orders over HTTP with a client order id each, repeats of the same id, cancels.

Each order, and whether it is repeated or canceled, is determined by the seed and its number. Their number depends on
the machine: no more orders due than the bound below, no more requests open than the window.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from sys import intern
from typing import Literal

from exchange.simulator.instruments import listed_instruments
from tools.chaos.clients import Clients, Json, account
from tools.chaos.evidence import CancelAnswer, PlaceAnswer
from tools.chaos.history import History
from tools.chaos.ledger import OUTAGES, Ledger
from tools.chaos.window import Window

ORDERS_AT_ONCE_MAX = 1_000
DUE_ORDERS_MAX = 800
LOOK_EVERY_SECONDS = 0.25
TRIES_MAX = 6
RETRY_CHANCE = 0.9
RETRY_PAUSE_MIN_SECONDS = 0.2
RETRY_PAUSE_MAX_SECONDS = 1.5
REPEAT_CHANCE = 0.05
CANCEL_CHANCE = 0.12
RESTING_CHANCE = 0.08
RESTING_CANCELED_CHANCE = 0.8
CANCEL_PAUSE_MAX_SECONDS = 0.6
SELL_CHANCE = 0.3
TIMES_IN_FORCE = ("DAY",) * 6 + ("GTC", "GTC", "IOC", "FOK")
QUANTITY_MAX = 300

PLACE = """
mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess { replayed order { id } }
    ... on UserError { code }
  }
}
"""
CANCEL = """
mutation Cancel($id: ID!) {
  cancelOrder(input: {orderId: $id}) { __typename ... on UserError { code } }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One order to place, and what its client does about it. `cancel_after` is in seconds, None for never."""

    account_id: str
    input: Json
    is_repeated: bool
    cancel_after: float | None
    random: Random


def plan_order(*, seed: int, number: int) -> Plan:
    """Return the order of that number; mostly market orders, some limit orders that fill and some that do not.

    One that does not fill stays open, or is canceled by the exchange if it is IOC or FOK.
    """
    random = Random(f"{seed}:order:{number}")
    instrument = random.choice([each for each in listed_instruments() if each.tradable])
    rests = random.random() < RESTING_CHANCE
    order: Json = {
        "clientOrderId": f"chaos-{seed}-{number}",
        "isin": instrument.isin,
        "side": "SELL" if random.random() < SELL_CHANCE else "BUY",
        "type": "LIMIT" if rests or random.random() < RESTING_CHANCE else "MARKET",
        "quantity": str(random.randint(1, QUANTITY_MAX)),
        "timeInForce": random.choice(TIMES_IN_FORCE),
    }
    if order["type"] == "LIMIT":
        is_low = rests is (order["side"] == "BUY")
        factor = Decimal("0.5") if is_low else Decimal("1.5")
        order["limitPrice"] = str((instrument.reference_price * factor).quantize(instrument.tick_size))
    is_canceled = random.random() < (RESTING_CANCELED_CHANCE if rests else CANCEL_CHANCE)
    return Plan(
        account_id=account(random.randrange(1_000_000)),
        input=order,
        is_repeated=random.random() < REPEAT_CHANCE,
        cancel_after=random.uniform(0, CANCEL_PAUSE_MAX_SECONDS) if is_canceled else None,
        random=random,
    )


@dataclass(slots=True, kw_only=True)
class Load:
    """Places orders until stopped. `on_acknowledged` is called with the account and the node id of each
    acknowledged order.
    """

    clients: Clients
    ledger: Ledger
    history: History
    seed: int
    orders_per_second: float
    on_acknowledged: Callable[[str, str], None]
    place_answers: list[PlaceAnswer] = field(default_factory=list)
    cancel_answers: list[CancelAnswer] = field(default_factory=list)
    asked_orders: int = 0
    held_seconds: float = 0.0
    crowded_seconds: float = 0.0
    window: Window = field(default_factory=Window)
    _open: int = 0
    _held: bool = False
    _is_over: bool = False
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def acknowledged_orders(self) -> int:
        """How many different orders were acknowledged."""
        return len({answer.order_id for answer in self.place_answers if answer.outcome == "ok"})

    async def run(self, *, seconds: float) -> None:
        """Place orders for that long, then wait for open requests."""
        loop = asyncio.get_running_loop()
        ends, step = loop.time() + seconds, 1 / self.orders_per_second
        watching = asyncio.create_task(self._watch())
        next_at = loop.time()
        while (now := loop.time()) < ends:
            if self._held or self._is_crowded():
                await asyncio.sleep(step)
                if self._held:
                    self.held_seconds += loop.time() - now
                else:
                    self.crowded_seconds += loop.time() - now
                next_at = loop.time()
                continue
            self._begin()
            next_at += step
            await asyncio.sleep(max(next_at - loop.time(), 0))
        self._is_over = True
        watching.cancel()
        await asyncio.gather(watching, *self._running, return_exceptions=True)

    def _is_crowded(self) -> bool:
        is_full = self._open >= self.window.open_max or len(self._running) >= ORDERS_AT_ONCE_MAX
        return is_full or not self.clients.is_answered

    def _begin(self) -> None:
        plan = plan_order(seed=self.seed, number=self.asked_orders)
        self.asked_orders += 1
        task = asyncio.create_task(self._live(plan))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _watch(self) -> None:
        """Hold on while more orders are due than can be placed soon."""
        while True:
            try:
                to_place, _ = await self.ledger.undecided()
                self._held = to_place > DUE_ORDERS_MAX
            except OUTAGES:
                self._held = False  # Clients do not know either.
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _live(self, plan: Plan) -> None:
        order_id = await self._place_until_answered(plan)
        if order_id is None:
            return
        if plan.is_repeated:
            await self._place(plan, api=plan.random.randrange(len(self.clients.urls)))
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel(plan, order_id)

    async def _place_until_answered(self, plan: Plan) -> str | None:
        """Return the node id of the order once it is acknowledged; None when the client gives up or is refused."""
        first = plan.random.randrange(len(self.clients.urls))
        for number in range(TRIES_MAX):
            answer, node_id = await self._place(plan, api=(first + number) % len(self.clients.urls))
            if node_id is not None:
                self.on_acknowledged(plan.account_id, node_id)
                return node_id
            if self._is_over or answer.outcome == "refused" or plan.random.random() > RETRY_CHANCE:
                return None
            pause = plan.random.uniform(RETRY_PAUSE_MIN_SECONDS, RETRY_PAUSE_MAX_SECONDS)
            await asyncio.sleep(pause)
            while not self.clients.is_answered and not self._is_over:  # noqa: ASYNC110  # There is no event for its return.
                await asyncio.sleep(pause)
        return None

    async def _place(self, plan: Plan, *, api: int) -> tuple[PlaceAnswer, str | None]:
        api, asked_at = self.clients.choose(api), time.time()
        data, problem = await self._ask(PLACE, {"input": plan.input}, account_id=plan.account_id, api=api)
        result: Json = data["placeOrder"] if data else {"__typename": "", "code": problem}
        node_id = result["order"]["id"] if result["__typename"] == "PlaceOrderSuccess" else None
        answer = PlaceAnswer(
            account_id=plan.account_id,
            client_order_id=plan.input["clientOrderId"],
            outcome=_outcome(result),
            order_id=None if node_id is None else order_id_of(node_id),
            replayed=result.get("replayed", False),
            told=result.get("code", ""),
            asked_at=asked_at,
            answered_at=time.time(),
        )
        self.place_answers.append(answer)
        self.history.note(
            "place",
            client_order_id=answer.client_order_id,
            outcome=answer.outcome,
            api=api,
            order_id=answer.order_id,
            replayed=answer.replayed,
            told=answer.told,
        )
        return answer, node_id

    async def _ask(self, query: str, variables: Json, *, account_id: str, api: int) -> tuple[Json | None, str]:
        self._open += 1
        try:
            data, problem = await self.clients.ask(query, variables, account_id=account_id, api=api)
        finally:
            self._open -= 1
        if data is not None:
            self.window.note_answer()
        elif problem == TimeoutError.__name__:
            self.window.note_time_out(now=asyncio.get_running_loop().time())
        return data, problem

    async def _cancel(self, plan: Plan, node_id: str) -> None:
        api = self.clients.choose(plan.random.randrange(len(self.clients.urls)))
        data, problem = await self._ask(CANCEL, {"id": node_id}, account_id=plan.account_id, api=api)
        result: Json = data["cancelOrder"] if data else {"__typename": "", "code": problem}
        answer = CancelAnswer(order_id=order_id_of(node_id), outcome=_outcome(result), told=result.get("code", ""))
        self.cancel_answers.append(answer)
        self.history.note("cancel", order_id=answer.order_id, outcome=answer.outcome, api=api, told=answer.told)


def order_id_of(node_id: str) -> str:
    """Return the order's id as the exchange and the database write it."""
    digits = node_id.partition("_")[2]
    return intern("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def _outcome(result: Json) -> Literal["ok", "info", "refused"]:
    match result["__typename"]:
        case "PlaceOrderSuccess" | "CancelOrderSuccess":
            return "ok"
        case "" | "Unavailable":
            return "info"
        case _:
            return "refused"
