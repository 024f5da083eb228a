"""Answers of a gateway in front of the venue, as scripts for `PUT /simulator/answers`. Pure.

An answer of a gateway is not the venue's: it does not prove that an order was refused, does not exist, or cannot be
canceled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tools.chaos.schedule import Kind

EACH_TIMES = 2
ROUNDS = 20
"""One fault plays each answer so often, two requests in a row; then the venue itself answers again."""
RARE_ROUNDS = 2
"""A 429 stops every submission for a second, so it is played less often than the others."""
LOST_SUBMISSIONS = 40
UNTIL_REMOVED_TIMES = 1_000_000

SUBMIT = ("POST", "/v2/orders")
LOOK_UP = ("GET", "/v2/orders:by_client_order_id")
CANCEL = ("DELETE", "/v2/orders/*")

Script = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAnswer:
    """An answer; a status of None closes the connection. A body that is a text is sent as it is."""

    status: int | None
    body: object = None
    content_type: str = "application/json"

    def script(self, request: tuple[str, str], *, times: int, after_execution: bool = False) -> Script:
        """Return the script with this answer to that kind of request."""
        method, path = request
        return {
            "method": method,
            "path": path,
            "times": times,
            "status": self.status,
            "headers": {"Content-Type": self.content_type},
            "body": self.body,
            "after_execution": after_execution,
        }


def _page(status: int, title: str) -> GatewayAnswer:
    body = f"<html>\n<head><title>{status} {title}</title></head>\n<center>nginx</center>\n</html>\n"
    return GatewayAnswer(status=status, body=body, content_type="text/html")


ENDPOINT_NOT_FOUND = GatewayAnswer(status=404, body={"code": 40410000, "message": "endpoint not found"})
CLOSED = GatewayAnswer(status=None)
ANSWERS: Sequence[GatewayAnswer] = (
    ENDPOINT_NOT_FOUND,
    GatewayAnswer(status=404, body={"message": "no Route matched with those values"}),
    _page(502, "Bad Gateway"),
    _page(503, "Service Temporarily Unavailable"),
    _page(504, "Gateway Time-out"),
    GatewayAnswer(status=403, body={"message": "forbidden."}),
    GatewayAnswer(status=400, body={"message": "Bad Request"}),
    CLOSED,
)
TOO_MANY_REQUESTS = GatewayAnswer(status=429, body="Too Many Requests", content_type="text/plain")

_REQUESTS: Mapping[Kind, tuple[tuple[str, str], Sequence[bool]]] = {
    Kind.GATEWAY_SUBMISSIONS: (SUBMIT, [False]),
    Kind.GATEWAY_LOST_SUBMISSIONS: (SUBMIT, [True]),
    Kind.GATEWAY_LOOK_UPS: (LOOK_UP, [False]),
    Kind.GATEWAY_CANCELS: (CANCEL, [False, True]),
}
"""The requests that each kind of fault answers, before the venue executes them (False) or after it did (True)."""
GATEWAY_KINDS = frozenset(_REQUESTS) | {Kind.GATEWAY_SILENCE}


def make_scripts(kind: Kind, *, seed: str) -> Sequence[Script]:
    """Return the scripts of one fault, in the order in which they answer."""
    # Without lost answers there is little to look up.
    lost = CLOSED.script(SUBMIT, times=LOST_SUBMISSIONS, after_execution=True)
    if kind is Kind.GATEWAY_SILENCE:
        return [lost, ENDPOINT_NOT_FOUND.script(LOOK_UP, times=UNTIL_REMOVED_TIMES)]
    request, moments = _REQUESTS[kind]
    scripts = [
        answer.script(request, times=EACH_TIMES, after_execution=after_execution)
        for answer in [*ANSWERS] * ROUNDS + [TOO_MANY_REQUESTS] * RARE_ROUNDS
        for after_execution in moments
    ]
    Random(seed).shuffle(scripts)
    return [lost, *scripts] if kind is Kind.GATEWAY_LOOK_UPS else scripts
