"""Look-up of one order at the venue: of its venue order, and of its replacements that have not ended."""

from collections.abc import Sequence

from domain.model.order import Order
from domain.model.venue_chain import chain_of, is_over
from domain.ports.venue import ExternalOrder, Venue, VenueOrder

LOOK_UPS_MAX = 10
"""How many requests one look-up may make to follow one venue order to the next. Each that is known is looked up in any
case: the newest would never be in a longer chain. What replaced an order more often is found by the next look-ups."""


async def look_up(venue: Venue, order: Order, *, is_whole: bool = False) -> Sequence[VenueOrder]:
    """Return the venue orders of the order, the newest last; none if the venue does not have it.

    The first one is found by our name for it, and the others by the venue's ids, since their names are not ours. With
    `is_whole` ended ones are looked up as well. Raises VenueUnreachableError.
    """
    chain = chain_of(order.facts)
    names = [name for name in chain if is_whole or not is_over(order.facts, name)] or [chain[-1]]
    found: list[VenueOrder] = []
    for _ in range(len(names) - 1 + LOOK_UPS_MAX):
        name = names.pop(0)
        one = await _find(venue, order, name)
        if one is not None:
            found.append(one)
            known = {*chain, *(each.venue_order_id for each in found)}
            if one.replaced_by is not None and one.replaced_by not in known:
                names.append(one.replaced_by)
        if not names:
            break
    return found


async def _find(venue: Venue, order: Order, name: str | None) -> VenueOrder | None:
    if name is None or (name not in order.facts.successors and name == chain_of(order.facts)[0]):
        return await venue.find(order.venue_client_order_id)
    shown = await venue.find_by_venue_order_id(name)
    return shown.replacement if isinstance(shown, ExternalOrder) else None
