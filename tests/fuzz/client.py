"""A client that can send anything, and what must hold for every answer."""

import http.client
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

TIMEOUT_SECONDS = 30
SUCCESS = "PlaceOrderSuccess"
PROGRAM = re.compile(
    r"Traceback|\.py\b|NoneType| object at 0x|has no attribute|<class |not subscriptable|positional argument|"
    r"sqlalchemy|asyncpg|psycopg|strawberry|graphql\.|orjson|KeyError|TypeError|ValueError|AttributeError",
)
"""What an answer would show of the program if it showed anything. No fuzzed text is answered word for word but in
messages about values, and those hold none of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The received answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Json:
        content = json.loads(self.body)
        assert isinstance(content, dict)
        return content


@dataclass(slots=True)
class FuzzClient:
    """One connection, reopened when the server has closed it. It blocks: use it in a thread."""

    port: int
    count_orders: Callable[[], int]
    orders: int
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    _connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send the request."""
        try:
            return self._ask(method, target, headers, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closed an idle connection; the next one is new.
            self.close()
            return self._ask(method, target, headers, body)

    def check(self, answer: Answer, *, is_head: bool = False) -> None:
        """Check the promises: no 5xx, JSON with errors that have a code, no internals, no row without success."""
        self.statuses[answer.status] += 1
        assert answer.status < http.HTTPStatus.INTERNAL_SERVER_ERROR, answer
        assert "set-cookie" not in {name.lower() for name in answer.headers}
        stored = self.count_orders()
        if is_head:
            assert stored == self.orders
            return
        content = answer.content
        for error in content.get("errors", []):
            code = error["extensions"]["code"]
            self.codes[code] += 1
            assert code != "INTERNAL", error
            assert not PROGRAM.search(error["message"]), error
        assert stored - self.orders <= _successes(content), (stored, content)
        self.orders = stored

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        self._connection.request(method, target, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        answer = Answer(status=response.status, headers=dict(response.headers), body=response.read())
        if response.will_close:
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _successes(content: Json) -> int:
    """How many orders the answer may have stored: the root fields that were answered, and not by a failure."""
    data = content.get("data")
    answers = data.values() if isinstance(data, dict) else ()
    return sum(answer.get("__typename", SUCCESS) == SUCCESS for answer in answers if isinstance(answer, dict))
