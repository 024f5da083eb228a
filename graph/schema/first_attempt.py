"""Waiting for the first placing attempt of an order that is already stored. Waiting never becomes an error."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from domain.model.changes import OrderSnapshot
from domain.model.order import OrderStatus
from domain.ports.notifications import UpToDate
from graph.context import Services

STORED_READ_TIMEOUT_SECONDS = 1.0


async def wait_for_first_attempt(order: OrderSnapshot, *, wait: timedelta, services: Services) -> OrderSnapshot:
    """Return the order once it is no longer PENDING, or the current one when the time is up or the feed fails."""
    if order.status is not OrderStatus.PENDING:
        return order
    try:
        async with asyncio.timeout(wait.total_seconds()):
            return await _follow(order, services)
    except TimeoutError:
        pass
    except Exception as error:  # noqa: BLE001 - with any error of the feed, the order is stored and can be returned
        services.telemetry.warning("wait_failed", order_id=str(order.id), error=repr(error), next="answer as stored")
    return await _as_stored(order, services)


async def _follow(order: OrderSnapshot, services: Services) -> OrderSnapshot:
    changes = services.feed.order(order.id, account_id=order.account_id, after_version=order.version)
    newest = order
    async with aclosing(changes):
        async for items in changes:
            for item in items:
                if isinstance(item, UpToDate):
                    continue
                newest = item if isinstance(item, OrderSnapshot) else item.order
                if newest.status is not OrderStatus.PENDING:
                    return newest
    return newest


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
