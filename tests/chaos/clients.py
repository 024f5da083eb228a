"""How the run's clients speak to the API: their accounts and tokens, and one GraphQL request over HTTP."""

import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import orjson

ACCOUNTS = 50
TOKEN_SECONDS = 86_400
ANSWER_TIMEOUT_SECONDS = 2.5
AVOIDED_SECONDS = 1.0
SCOPES = "orders:read orders:place orders:cancel"

Json = dict[str, Any]


def account(number: int) -> str:
    """The name of an account."""
    return f"account-{number % ACCOUNTS}"


@dataclass(slots=True, kw_only=True)
class Clients:
    """Asks the API in the name of its accounts."""

    session: aiohttp.ClientSession
    urls: list[str]
    secret: str
    _tokens: dict[str, str] = field(default_factory=dict)
    _avoided_until: dict[int, float] = field(default_factory=dict)

    def choose(self, api: int) -> int:
        """That API, or the next one while that one does not answer: as behind a load balancer."""
        now = time.monotonic()
        if self._avoided_until.get(api, 0.0) <= now:
            return api
        other = (api + 1) % len(self.urls)
        return other if self._avoided_until.get(other, 0.0) <= now else api

    def token(self, account_id: str) -> str:
        """A token of the account, valid for the whole run."""
        if account_id not in self._tokens:
            claims = {"sub": account_id, "scope": SCOPES, "exp": int(time.time()) + TOKEN_SECONDS}
            self._tokens[account_id] = jwt.encode(claims, self.secret, algorithm="HS256")
        return self._tokens[account_id]

    async def ask(self, query: str, variables: Json, *, account_id: str, api: int) -> tuple[Json | None, str]:
        """One operation at one of the APIs: its data, or None and why there is no usable answer."""
        body = orjson.dumps({"query": query, "variables": variables})
        headers = {"Authorization": f"Bearer {self.token(account_id)}", "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_SECONDS)
        try:
            async with self.session.post(
                f"{self.urls[api]}/graphql", data=body, headers=headers, timeout=timeout
            ) as response:
                answer = orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._avoided_until[api] = time.monotonic() + AVOIDED_SECONDS
            return None, type(error).__name__
        data: Json | None = answer.get("data")
        if data is None or "errors" in answer:
            return None, str(answer.get("errors"))[:200]
        return data, ""
