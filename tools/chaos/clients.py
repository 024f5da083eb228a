"""The run's clients of the API: their accounts and tokens, and one GraphQL request over HTTP."""

import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson

from tools.chaos.http import Connections

ACCOUNTS = 400
TOKEN_SECONDS = 43_200
ANSWER_TIMEOUT_SECONDS = 2.5
AVOIDED_SECONDS = 1.0
SCOPES = "orders:read orders:place orders:cancel"
OPERATOR = "fault-run-operator"
OPERATOR_SCOPES = "operator:halt operator:resolve"

Json = dict[str, Any]


def account(number: int) -> str:
    """Return the name of an account."""
    return f"account-{number % ACCOUNTS}"


@dataclass(slots=True, kw_only=True)
class Clients:
    """Sends requests to the API for its accounts."""

    urls: list[str]
    secret: str
    connections: Connections = field(default_factory=Connections)
    _tokens: dict[str, str] = field(default_factory=dict)
    _avoided_until: dict[int, float] = field(default_factory=dict)

    @property
    def is_answered(self) -> bool:
        """Return whether any API may be tried now: a front end does not retry an unreachable one continuously."""
        now = time.monotonic()
        return any(self._avoided_until.get(api, 0.0) <= now for api in range(len(self.urls)))

    def avoid(self, api: int) -> None:
        """Note that this API did not answer: it is avoided for a moment."""
        self._avoided_until[api] = time.monotonic() + AVOIDED_SECONDS

    def choose(self, api: int) -> int:
        """Return this API, or the next one while it does not answer, like a load balancer."""
        now = time.monotonic()
        if self._avoided_until.get(api, 0.0) <= now:
            return api
        other = (api + 1) % len(self.urls)
        return other if self._avoided_until.get(other, 0.0) <= now else api

    def token(self, account_id: str) -> str:
        """Return a token of the account, or of OPERATOR, valid for the whole run."""
        if account_id not in self._tokens:
            scope = OPERATOR_SCOPES if account_id == OPERATOR else SCOPES
            claims = {"sub": account_id, "scope": scope, "exp": int(time.time()) + TOKEN_SECONDS}
            self._tokens[account_id] = jwt.encode(claims, self.secret, algorithm="HS256")
        return self._tokens[account_id]

    async def ask(self, query: str, variables: Json, *, account_id: str, api: int) -> tuple[Json | None, str]:
        """Send one operation to one of the APIs; return its data, or None and why there is no usable answer."""
        body = orjson.dumps({"query": query, "variables": variables})
        token = self.token(account_id)
        try:
            answer = orjson.loads(
                await self.connections.post(
                    self.urls[api], "/graphql", body, token=token, timeout_seconds=ANSWER_TIMEOUT_SECONDS
                )
            )
        except (TimeoutError, OSError, ValueError) as error:
            self.avoid(api)
            return None, type(error).__name__
        data: Json | None = answer.get("data")
        if data is None or "errors" in answer:
            return None, str(answer.get("errors"))[:200]
        return data, ""
