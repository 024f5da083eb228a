"""The requests to the REST interface: every one with its answer's status, refused and rate-limited ones too.

It shows a client's requests and their number, which are not in the journal. It is only in memory: the numbers start at
1 again with the process.
"""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from urllib.parse import unquote

import orjson
from aiohttp import web

from exchange.simulator.wire_values import time_text

REQUESTS_KEPT_MAX = 20_000
_ORDER_FOLDER = "/v2/orders/"


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """One request, with the system's time `at` which it arrived. `status` is None until it is answered, and permanently
    when the connection was closed instead.

    `client_order_id` is that of the query or the body, `order_id` that of the path. `is_scripted`: a scripted answer
    replaced the exchange's own.
    """

    number: int
    at: datetime
    method: str
    path: str
    query: dict[str, str]
    client_order_id: str | None = None
    order_id: str | None = None
    status: int | None = None
    is_scripted: bool = False

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"at": time_text(self.at)}


class RequestLog:
    """The last `requests_max` requests, numbered from 1 as they arrived."""

    def __init__(self, *, requests_max: int = REQUESTS_KEPT_MAX) -> None:
        self._requests: deque[LoggedRequest] = deque(maxlen=requests_max)
        self._last = 0

    async def record(self, request: web.BaseRequest, path: str, *, at: datetime) -> LoggedRequest:
        """Add a request that arrives. It is numbered when its head arrives, its client order id is known with its
        body.
        """
        self._last += 1
        query = dict(request.query)
        logged = LoggedRequest(
            number=self._last,
            at=at,
            method=request.method,
            path=path,
            query=query,
            order_id=unquote(path.removeprefix(_ORDER_FOLDER)) if path.startswith(_ORDER_FOLDER) else None,
        )
        self._requests.append(logged)
        logged.client_order_id = query.get("client_order_id") or _client_order_id(await request.read())
        return logged

    def read(self, *, after: int, limit: int) -> dict[str, object]:
        """Return the requests with a number above `after`, and whether there are more or some are no longer stored."""
        first = self._last - len(self._requests) + 1
        start = max(after + 1, first) - first
        page = list(islice(self._requests, start, start + limit))
        return {
            "requests": [logged.as_json() for logged in page],
            "first": first,
            "last": self._last,
            "is_complete": start + len(page) >= len(self._requests),
        }


def _client_order_id(body: bytes) -> str | None:
    try:
        fields = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None
    found = fields.get("client_order_id") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else None
