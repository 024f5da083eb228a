"""Waiting for the first placing attempt of an order that is already stored. Waiting never becomes an error."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta

from domain.model.changes import OrderSnapshot
from domain.model.errors import TransientError
from domain.model.order import OrderStatus
from domain.ports.notifications import UpToDate
from graph.context import Services

STORED_READ_TIMEOUT_SECONDS = 1.0
LOOK_FIRST_SECONDS = 0.1
LOOK_MAX_SECONDS = 1.0
RESERVED_SHARE = 0.25
"""Of an operation's time, for what comes after the wait: an operation may place several orders, one after the other."""
_BEFORE_ANY_OUTCOME = frozenset({OrderStatus.PENDING, OrderStatus.PENDING_CANCEL})


async def wait_for_first_attempt(order: OrderSnapshot, *, wait: timedelta, services: Services) -> OrderSnapshot:
    """Return the order once its first attempt has an outcome, or as it stands when the time is up or the feed fails."""
    seconds = _within_operation(wait.total_seconds(), services)
    # A wait has a subscriber and reads once a second, also when its client has disconnected.
    is_full = services.waits[order.account_id] >= services.settings.waits_per_account
    if _has_outcome(order) or seconds <= 0 or is_full:
        return order
    try:
        with _counted(services.waits, order.account_id):
            async with asyncio.timeout(seconds):
                return await _first_outcome(order, services)
    except TimeoutError:
        pass
    except Exception as error:  # noqa: BLE001 - with any error of the feed, the order is stored and can be returned
        services.telemetry.warning("wait_failed", order_id=str(order.id), error=repr(error), next="answer as stored")
    return await _as_stored(order, services)


@contextmanager
def _counted(waits: Counter[str], account_id: str) -> Iterator[None]:
    waits[account_id] += 1
    try:
        yield
    finally:
        waits[account_id] -= 1
        if not waits[account_id]:
            del waits[account_id]


def _within_operation(seconds: float, services: Services) -> float:
    """Return how long may be waited, so that the waits of an operation do not exceed its deadline."""
    left = services.deadlines.seconds_left()
    if left is None:
        return seconds
    return min(seconds, left - RESERVED_SHARE * services.settings.operation_timeout_seconds)


def _has_outcome(order: OrderSnapshot) -> bool:
    """Return whether an attempt has ended: each that leaves the order where it was leaves its error, too.

    An error without any attempt is that of a halt, or of the venue's circuit.
    """
    if order.status not in _BEFORE_ANY_OUTCOME or order.venue_order_id is not None:
        return True
    return order.placement.last_attempt_at is not None and order.placement.last_error is not None


async def _first_outcome(order: OrderSnapshot, services: Services) -> OrderSnapshot:
    waiting = [asyncio.create_task(_follow(order, services)), asyncio.create_task(_look(order, services))]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _follow(order: OrderSnapshot, services: Services) -> OrderSnapshot:
    changes = services.feed.order(order.id, account_id=order.account_id, after_version=order.version)
    newest = order
    async with aclosing(changes):
        async for items in changes:
            for item in items:
                if isinstance(item, UpToDate):
                    continue
                newest = item if isinstance(item, OrderSnapshot) else item.order
                if _has_outcome(newest):
                    return newest
    return newest


async def _look(order: OrderSnapshot, services: Services) -> OrderSnapshot:
    """Read the order again and again, more and more rarely: an attempt that will be repeated changes nothing of what
    the feed shows. Orders that are read at the same time share a statement; most have their outcome before."""
    pause = LOOK_FIRST_SECONDS
    while True:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LOOK_MAX_SECONDS)
        try:
            stored = await services.reader.order(order.id, account_ids=(order.account_id,))
        except TransientError:
            continue
        if stored is not None and _has_outcome(stored):
            return stored


async def _as_stored(order: OrderSnapshot, services: Services) -> OrderSnapshot:
    try:
        async with asyncio.timeout(STORED_READ_TIMEOUT_SECONDS):
            stored = await services.reader.order(order.id, account_ids=(order.account_id,))
    except Exception as error:  # noqa: BLE001 - as above: what was stored a moment ago is a right answer too
        services.telemetry.warning(
            "reread_failed", order_id=str(order.id), error=repr(error), next="answer as accepted"
        )
        return order
    return stored or order
