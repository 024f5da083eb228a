"""Named places at which a process can be made to crash, for fault runs: CRASH_AT=name:probability,name:probability.

The places are calls of ports, so no service is changed: the ports are wrapped only when CRASH_AT is set. A crash is
`os._exit`: no handler runs, nothing is flushed, as with kill -9.
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TypeVar, cast

EXIT_CODE = 9
SENDING_SECONDS = 0.003
"""How long a request has been under way when the process dies at `send`."""

Port = TypeVar("Port")
Method = Callable[..., object]
AsyncMethod = Callable[..., Coroutine[None, None, object]]
Reach = Callable[[str], None]
"""Called with a crash point's name; it may not return."""

NAMES = ("commit", "wake_up", "claim", "send", "answer", "apply", "publish")
"""An order is stored; about to wake a worker; claimed; sent and not answered; answered and not recorded;
recorded and not published; about to publish."""


def read_crash_at(text: str) -> Mapping[str, float]:
    """Return the probabilities by name. Raise ValueError for a name that does not exist."""
    probabilities = {}
    for part in text.split(","):
        name, _, probability = part.partition(":")
        if name not in NAMES:
            raise ValueError(f"{name!r} is no crash point; there are {', '.join(NAMES)}")
        probabilities[name] = float(probability)
    return probabilities


def crashing(port: Port, crash_at: str | None) -> Port:
    """Return the port itself, or one that crashes at its crash points with the probabilities of CRASH_AT."""
    if not crash_at:
        return port
    return cast("Port", _Crashing(port, partial(_reach, read_crash_at(crash_at))))


class _Crashing:
    """A port with crash points before or after its methods."""

    def __init__(self, port: object, reach: Reach) -> None:
        self._port = port
        self._reach = reach

    def __getattr__(self, name: str) -> object:
        method = getattr(self._port, name)
        crashing_method = CRASHING_METHODS.get(name)
        return method if crashing_method is None else partial(crashing_method, method, self._reach)


def _reach(probabilities: Mapping[str, float], name: str) -> None:
    if random.random() < probabilities.get(name, 0.0):  # noqa: S311 - chance, not secrecy
        os._exit(EXIT_CODE)


async def _store(method: AsyncMethod, reach: Reach, *arguments: object, **named: object) -> object:
    stored = await method(*arguments, **named)
    reach("commit")
    return stored


async def _claim(method: AsyncMethod, reach: Reach, *arguments: object, **named: object) -> object:
    claims = await method(*arguments, **named)
    if claims:
        reach("claim")
    return claims


async def _write(method: AsyncMethod, reach: Reach, *arguments: object, **named: object) -> object:
    changes = await method(*arguments, **named)
    reach("apply")
    return changes


async def _submit(method: AsyncMethod, reach: Reach, *arguments: object, **named: object) -> object:
    sending = asyncio.create_task(method(*arguments, **named))
    await asyncio.wait([sending], timeout=SENDING_SECONDS)
    reach("send")
    try:
        outcome = await sending
    finally:
        sending.cancel()
    reach("answer")
    return outcome


def _wake(method: Method, reach: Reach, *arguments: object, **named: object) -> object:
    reach("wake_up")
    return method(*arguments, **named)


def _publish(method: Method, reach: Reach, *arguments: object, **named: object) -> object:
    reach("publish")
    return method(*arguments, **named)


CRASHING_METHODS: Mapping[str, Callable[..., object]] = {
    "store": _store,
    "claim": _claim,
    "claim_due": _claim,
    "write": _write,
    "submit": _submit,
    "placement_due": _wake,
    "publish": _publish,
}
