"""External orders: of people, other programs and the broker on the same account, concurrent with the load.

More of them stay open than a page of the venue's list of open orders contains, so that ours are on a later page. Each
order and its end are determined by the seed and its number.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any, Literal
from uuid import UUID

import aiohttp

from exchange.simulator.instruments import listed_instruments
from tools.chaos.arena import HTTP_ERROR, Arena
from tools.chaos.history import History

RESTING_FIRST_ORDERS = 520
"""A page of the venue's list has 500 rows."""
PAUSE_MIN_SECONDS = 0.1
PAUSE_MAX_SECONDS = 0.5
FATE_AFTER_MAX_SECONDS = 3.0
QUANTITY_MAX = 100

Json = dict[str, Any]
Fate = Literal["rests", "filled at once", "filled later", "canceled", "forgotten"]
FATES: Sequence[Fate] = ("rests", "filled at once", "filled at once", "filled later", "canceled", "forgotten")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalPlan:
    """One external order: the body of the control that places it, and what becomes of it after some seconds."""

    kind: str
    body: Json
    fate: Fate
    fate_after_seconds: float


def plan_external(*, seed: int, number: int) -> ExternalPlan:
    """Return the external order of that number; the first ones all rest."""
    random = Random(f"{seed}:external:{number}")
    instrument = random.choice(listed_instruments())
    price = str((instrument.reference_price * Decimal("0.5")).quantize(instrument.tick_size))
    kinds = _kinds(price, symbol=instrument.symbol)
    kind = random.choice(list(kinds))
    fate = "rests" if number < RESTING_FIRST_ORDERS else random.choice(FATES)
    body = {
        "symbol": instrument.symbol,
        "qty": str(random.randint(1, QUANTITY_MAX)),
        "side": random.choice(("buy", "sell")),
        "time_in_force": random.choice(("day", "gtc")),
        **kinds[kind],
    }
    client_order_id = _client_order_id(random, number)
    if client_order_id is not None:
        body["client_order_id"] = client_order_id
    if fate == "filled at once":
        body["fill"] = True
    return ExternalPlan(kind=kind, body=body, fate=fate, fate_after_seconds=random.uniform(0, FATE_AFTER_MAX_SECONDS))


def _kinds(price: str, *, symbol: str) -> Mapping[str, Json]:
    """Return the fields of every kind of order: those that Fillwire sends, those that it does not, unknown ones."""
    return {
        "market": {"type": "market"},
        "limit": {"type": "limit", "limit_price": price},
        "stop": {"type": "stop", "stop_price": price},
        "stop limit": {"type": "stop_limit", "stop_price": price, "limit_price": price},
        "trailing stop": {"type": "trailing_stop", "trail_percent": "2.5"},
        "on the open": {"type": "market", "time_in_force": "opg"},
        "on the close": {"type": "limit", "limit_price": price, "time_in_force": "cls"},
        "notional": {"type": "market", "qty": None, "notional": "1000.55", "time_in_force": "day"},
        "fraction": {"type": "market", "qty": "0.123456789", "time_in_force": "day"},
        "bracket": {
            "type": "limit",
            "limit_price": price,
            "order_class": "bracket",
            "take_profit": {"limit_price": price},
            "stop_loss": {"stop_price": price},
        },
        "one triggers other": {"type": "market", "order_class": "oto", "stop_loss": {"stop_price": price}},
        "several legs": {
            "type": "market",
            "order_class": "mleg",
            "legs": [{"symbol": symbol, "side": "buy"}, {"symbol": "SPY261218C00500000", "side": "sell"}],
        },
        "short sale": {"type": "market", "side": "sell_short"},
        "coin": {
            "type": "market",
            "symbol": "BTC/USD",
            "qty": "0.0005",
            "asset_class": "crypto",
            "time_in_force": "gtc",
        },
        "unknown": {"type": "pegged", "time_in_force": "gtd", "order_class": "basket", "peg": {"to": "midpoint"}},
    }


def _client_order_id(random: Random, number: int) -> str | None:
    """Return an id like those of other programs, some in our old form; None lets the venue generate it."""
    random_uuid = str(UUID(int=random.getrandbits(128), version=4))
    return random.choice((None, f"desk-{random_uuid}", f"Überweisung {number} / {random_uuid} #%&", random_uuid))


@dataclass(slots=True, kw_only=True)
class ExternalLoad:
    """Places external orders until cancelled. `placed` counts them by kind, `fates` by what became of them."""

    arena: Arena
    history: History
    seed: int
    placed: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Place the resting ones one after the other, then one every few tenths of a second."""
        random = Random(f"{self.seed}:external")
        for number in range(RESTING_FIRST_ORDERS):
            await self._place(plan_external(seed=self.seed, number=number))
        async with asyncio.TaskGroup() as tasks:
            for number in count(RESTING_FIRST_ORDERS):
                tasks.create_task(self._place(plan_external(seed=self.seed, number=number)))
                await asyncio.sleep(random.uniform(PAUSE_MIN_SECONDS, PAUSE_MAX_SECONDS))

    async def _place(self, plan: ExternalPlan) -> None:
        order = await self._ask("POST", "/simulator/orders", plan.body)
        if order is None:
            return
        self.placed[plan.kind] += 1
        self.history.note("external", order=plan.kind, venue_order_id=order["id"], fate=plan.fate)
        if plan.fate not in {"rests", "filled at once"}:
            await asyncio.sleep(plan.fate_after_seconds)
            if await self._ask(*_request(plan.fate, order["id"])) is None:
                return
        self.fates[plan.fate] += 1

    async def _ask(self, method: str, path: str, body: Json | None) -> Json | None:
        """Return the answer; None when the exchange refuses, or does not answer because it is restarted."""
        with suppress(aiohttp.ClientError, TimeoutError):
            status, answer = await self.arena.ask_exchange(method, path, body)
            return answer if status < HTTP_ERROR else None
        return None


def _request(fate: Fate, venue_order_id: str) -> tuple[str, str, Json | None]:
    match fate:
        case "canceled":
            return "DELETE", f"/v2/orders/{venue_order_id}", None
        case "forgotten":
            return "DELETE", f"/simulator/orders/{venue_order_id}", None
        case _:
            return "POST", "/simulator/fills", {"order_id": venue_order_id}
