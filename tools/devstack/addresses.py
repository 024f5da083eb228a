"""The ports of the local stack, from the settings PORT, EXCHANGE_PORT and METRICS_PORT."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tools.devstack.errors import LocalStackError
from tools.devstack.ports import HOST, LAST_PORT, require_free

API_PORT = 8000
EXCHANGE_PORT = 8001
METRICS_PORT = 9101
API_PORT_STEP = 10  # The second API listens 10 above the first, the third 20 above, and so on.
INGEST_METRICS_OFFSET = 10  # Workers use METRICS_PORT and the ports after it; ingest uses the one after the tenth.
API_METRICS_OFFSET = 20  # Those of the APIs follow.
PROCESSES_MAX = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """One port of the stack: what it is for, and the setting that changes it."""

    number: int
    purpose: str
    setting: str
    base: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """The ports of one stack."""

    apis: list[Port]
    api_probes: list[Port]
    workers: list[Port]
    ingest: Port
    exchange: Port | None  # None when EXCHANGE_URL names another venue.

    def require_free(self) -> None:
        """Raise LocalStackError with what to do when two ports are the same, or one is in use."""
        ports = list(self._all())
        number, count = Counter(port.number for port in ports).most_common(1)[0]
        if count > 1:
            both = " and ".join(f"{port.purpose} ({port.setting})" for port in ports if port.number == number)
            raise LocalStackError(f"port {number} is used by {both}. Set one of them to another number.")
        ours = {port.number for port in ports}
        for port in ports:
            require_free(port.number, purpose=port.purpose, setting=port.setting, base=port.base, avoid=ours)

    def _all(self) -> Iterator[Port]:
        yield from self.apis
        yield from self.api_probes
        if self.exchange is not None:
            yield self.exchange
        yield from self.workers
        yield self.ingest


def choose_addresses(*, apis: int, workers: int) -> Addresses:
    """Return the ports for these numbers of APIs and workers; raise LocalStackError when a setting is not a port."""
    port, metrics = _port_setting("PORT", API_PORT), _port_setting("METRICS_PORT", METRICS_PORT)
    exchange = _port_setting("EXCHANGE_PORT", EXCHANGE_PORT)
    return Addresses(
        apis=[
            Port(number=port + index * API_PORT_STEP, purpose=_nth("the API", index), setting="PORT", base=port)
            for index in range(apis)
        ],
        api_probes=[
            Port(
                number=metrics + API_METRICS_OFFSET + index,
                purpose=_nth("the API's metrics", index),
                setting="METRICS_PORT",
                base=metrics,
            )
            for index in range(apis)
        ],
        workers=[
            Port(
                number=metrics + index,
                purpose=_nth("the worker's metrics", index),
                setting="METRICS_PORT",
                base=metrics,
            )
            for index in range(workers)
        ],
        ingest=Port(
            number=metrics + INGEST_METRICS_OFFSET, purpose="ingest's metrics", setting="METRICS_PORT", base=metrics
        ),
        exchange=None
        if os.environ.get("EXCHANGE_URL")
        else Port(number=exchange, purpose="the simulated exchange", setting="EXCHANGE_PORT", base=exchange),
    )


def address(port: Port, path: str = "", *, scheme: str = "http") -> str:
    """Return the URL of a path at one of our ports."""
    return f"{scheme}://{HOST}:{port.number}{path}"


def _nth(purpose: str, index: int) -> str:
    return purpose if index == 0 else f"{purpose} {index + 1}"


def _port_setting(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    highest = LAST_PORT - PROCESSES_MAX * API_PORT_STEP
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= highest):
        raise LocalStackError(f"{name}={text} is not a port. Choose a number from 1 to {highest}.")
    return int(text)
