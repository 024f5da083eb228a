"""Halts of trading: an operator halts some accounts over the API, and resumes them after some seconds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tools.chaos.clients import ACCOUNTS, OPERATOR, Clients, account
from tools.chaos.evidence import HaltPeriod
from tools.chaos.history import History

ACCOUNTS_AT_ONCE = 60
TRY_AGAIN_SECONDS = 0.3
RESUME_WITHIN_SECONDS = 30.0

HALT = """
mutation Halt($input: HaltTradingInput!) { haltTrading(input: $input) { __typename } }
"""
RESUME = """
mutation Resume($input: ResumeTradingInput!) { resumeTrading(input: $input) { __typename } }
"""


@dataclass(slots=True, kw_only=True)
class Halts:
    """What was halted. `periods` are the halts that were acknowledged and have ended."""

    clients: Clients
    history: History
    seed: int
    periods: list[HaltPeriod] = field(default_factory=list)
    _began: dict[str, float | None] = field(default_factory=dict)
    _count: int = 0

    async def halt(self, seconds: float) -> None:
        """Halt some accounts for that long, except those of a halt in progress."""
        random = Random(f"{self.seed}:halt:{self._count}")
        self._count += 1
        chosen = {account(random.randrange(ACCOUNTS)) for _ in range(ACCOUNTS_AT_ONCE)}
        accounts = sorted(chosen - self._began.keys())
        self._began |= dict.fromkeys(accounts)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._halt(each) for each in accounts))
                await asyncio.sleep(seconds)
        except TimeoutError:
            pass
        await self.resume(accounts)

    async def repair(self) -> None:
        """Resume all halted accounts; raises TimeoutError when that is not answered."""
        async with asyncio.timeout(RESUME_WITHIN_SECONDS):
            await self.resume(sorted(self._began))

    async def _halt(self, account_id: str) -> None:
        await self._ask(HALT, account_id, "haltTrading", {"HaltTradingSuccess"})
        self._began[account_id] = time.time()

    async def resume(self, accounts: Sequence[str]) -> None:
        """End the halts of these accounts."""
        await asyncio.gather(*(self._resume_one(each) for each in accounts))

    async def _resume_one(self, account_id: str) -> None:
        began, ended = self._began.get(account_id), time.time()
        await self._ask(RESUME, account_id, "resumeTrading", {"ResumeTradingSuccess", "NotHalted"})
        self._began.pop(account_id, None)
        if began is not None:
            self.periods.append(HaltPeriod(account_id=account_id, began=began, ended=ended))
            self.history.note("halted", account=account_id, began=began, ended=ended)

    async def _ask(self, query: str, account_id: str, field_name: str, told: set[str]) -> None:
        """Repeat the request until it has one of the answers."""
        body = {"input": {"accountId": account_id, "reason": "a fault run"}}
        number = 0
        while True:
            api = self.clients.choose(number % len(self.clients.urls))
            data, problem = await self.clients.ask(query, body, account_id=OPERATOR, api=api)
            if data is not None and data[field_name]["__typename"] in told:
                return
            self.history.note("halt_unanswered", account=account_id, problem=problem or str(data))
            number += 1
            await asyncio.sleep(TRY_AGAIN_SECONDS)
