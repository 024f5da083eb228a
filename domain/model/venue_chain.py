"""The venue orders of one order: the one that was placed, and its replacements one after the other.

Ends, counts, terms and the identity of executions belong to one venue order; those of the order as a whole are derived
from all of them. Only reports of the venue link two: without one a replaced order has ended. Links are a set, and the
chain is everything reachable from the first order, so that the order of reports is irrelevant.

It is not documented by the venue that a new order counts from zero, and that its quantity excludes the earlier fills.
So this arithmetic by itself fills nothing where the venue reports the new order as filled: then its count is its
quantity, and the recorded executions must reach it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from domain.model.facts import End, Facts, Successor, VenueCount, VenueRank
from domain.model.reports import OrderReplaced
from domain.model.restatement import Restatement, latest
from domain.model.values import EXACT, ZERO


def with_link(facts: Facts, report: OrderReplaced) -> Facts:
    """Return the facts with the report's link of the replacement. An order that can be replaced is known there."""
    known = facts.successors.get(report.venue_order_id)
    one = known or Successor(
        replaces=report.replaces, facts=Facts(venue_order_id=report.venue_order_id), linked_at=report.at
    )
    restatement = one.facts.restatement
    names = [name for name in (one.venue_client_order_id, report.venue_client_order_id) if name is not None]
    one = replace(
        one,
        # It replaces one order, and names it by one id; even otherwise the order of reports would be irrelevant.
        replaces=min(one.replaces, report.replaces),
        linked_at=min(one.linked_at, report.at),
        venue_client_order_id=min(names, default=None),
        # Zero, where all its executions were busted, does not show how much was to be filled.
        completed=max((each for each in (one.completed, report.completed) if each), default=None),
        facts=one.facts
        if report.restatement is None
        else replace(one.facts, restatement=latest(restatement, report.restatement)),
    )
    successors = {**facts.successors, report.venue_order_id: one}
    return replace(facts, successors=successors, rank=max(facts.rank, VenueRank.ACCEPTED))


def key_of(facts: Facts, venue_order_id: str | None) -> str | None:
    """Return the id if it is a successor's; None for the first venue order."""
    return venue_order_id if venue_order_id in facts.successors else None


def facts_of(facts: Facts, key: str | None) -> Facts:
    """Return the facts of one venue order; None is the first."""
    if key is not None:
        return facts.successors[key].facts
    return replace(facts, filled_quantity=filled_of(facts, None), successors={}) if facts.successors else facts


def with_facts_of(facts: Facts, key: str, own: Facts) -> Facts:
    """Return the facts with other ones of a successor."""
    one = replace(facts.successors[key], facts=own)
    return replace(facts, successors={**facts.successors, key: one})


def with_end_of(facts: Facts, key: str, own: Facts, *, at: datetime) -> Facts:
    """Return the facts with those of a successor that ended then; of several times the first counts."""
    one = facts.successors[key]
    ended_at = at if one.ended_at is None else min(one.ended_at, at)
    return replace(facts, successors={**facts.successors, key: replace(one, facts=own, ended_at=ended_at)})


def with_filled(facts: Facts, key: str | None, *, quantity: Decimal, notional: Decimal) -> Facts:
    """Return the facts after so much more was filled of one venue order; a bust is negative."""
    facts = replace(
        facts,
        filled_quantity=EXACT.add(facts.filled_quantity, quantity),
        notional=EXACT.add(facts.notional, notional),
    )
    if key not in facts.successors or key is None:
        return facts
    own = facts.successors[key].facts
    return with_facts_of(facts, key, replace(own, filled_quantity=EXACT.add(own.filled_quantity, quantity)))


def filled_of(facts: Facts, key: str | None) -> Decimal:
    """Return what is filled of one venue order by its recorded executions; None is the first."""
    if key is not None:
        return facts.successors[key].facts.filled_quantity
    filled = facts.filled_quantity
    for one in facts.successors.values():
        filled = EXACT.subtract(filled, one.facts.filled_quantity)
    return filled


def filled_at(facts: Facts, venue_order_id: str) -> Decimal:
    """Return what is filled of the venue order with this id; of one that is no successor, of the first."""
    return filled_of(facts, key_of(facts, venue_order_id))


def chain_of(facts: Facts) -> Sequence[str | None]:
    """Return the ids of the venue orders from the first to the newest; None is a first one whose id is not known.

    A refused replacement is not among them.
    """
    chain = [facts.venue_order_id or _first_replaced(facts.successors)]
    while True:
        following = [
            name
            for name, one in facts.successors.items()
            if one.replaces == chain[-1] and not one.is_refused and name not in chain
        ]
        if not following:
            return chain
        chain.append(max(following, key=lambda name: (facts.successors[name].linked_at, name)))


def is_over(facts: Facts, name: str | None) -> bool:
    """Return whether the venue has stated that this one of the venue orders ended or was filled."""
    key = key_of(facts, name)
    return bool(facts.ends) if key is None else facts.successors[key].is_over


def whole(facts: Facts) -> Facts:
    """Return the facts of the order as a whole, as those of a single venue order.

    It ends like the newest one, once the earlier ones have ended as well.
    """
    if not facts.successors:
        return facts
    chain = chain_of(facts)
    newest = key_of(facts, chain[-1])
    own = facts_of(facts, newest)
    has_ended = all(is_over(facts, name) for name in chain[:-1])
    return replace(
        facts,
        venue_order_id=chain[-1],
        ends=own.ends if has_ended else frozenset[End](),
        end_reasons=own.end_reasons if has_ended else {},
        count=_count(facts),
        restatement=_restatement(facts, chain),
        successors={},
    )


def _restatement(facts: Facts, chain: Sequence[str | None]) -> Restatement | None:
    """Return the current terms: the newest known ones, and the filled quantity of the earlier orders."""
    before = facts.filled_quantity
    for name in reversed(chain):
        key = key_of(facts, name)
        if key is None:
            return facts.restatement
        one = facts.successors[key]
        before = EXACT.subtract(before, one.facts.filled_quantity)
        if one.facts.restatement is not None:
            own = one.facts.restatement
            quantity = own.quantity if one.completed is None else one.completed
            return replace(own, quantity=EXACT.add(before, quantity))
    return None


def _count(facts: Facts) -> VenueCount | None:
    """Return what the venue counts in all; of an order of which it stated none, what is recorded."""
    keys = (None, *facts.successors)
    stated = [count for key in keys if (count := _own_count(facts, key)) is not None]
    if not stated:
        return None
    quantity = ZERO
    for key in keys:
        own = _own_count(facts, key)
        quantity = EXACT.add(quantity, filled_of(facts, key) if own is None else own.quantity)
    return VenueCount(at=max(one.at for one in stated), quantity=quantity)


def _own_count(facts: Facts, key: str | None) -> VenueCount | None:
    return facts.count if key is None else facts.successors[key].facts.count


def _first_replaced(successors: Mapping[str, Successor]) -> str | None:
    return min((one.replaces for one in successors.values() if one.replaces not in successors), default=None)
