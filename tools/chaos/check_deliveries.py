"""Invariant 5: each subscriber received each change once, in order, and ended with the database's state. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tools.chaos.check_changes import REVIVED, TAKES_BACK
from tools.chaos.evidence import Evidence, Following, Message, Session, StoredChange
from tools.chaos.violations import Violation

AFTER_THE_END = TAKES_BACK | {REVIVED}
"""The kinds of changes that may come behind a completed stream."""
BEHIND_MAX_SECONDS = 10.0
"""How long a subscriber may lack a change after the faults have ended (see `tools.chaos.lag`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    by_sequence: Mapping[tuple[str, int], StoredChange]
    by_version: Mapping[tuple[str, int], StoredChange]
    sequences: Mapping[str, int]
    versions: Mapping[str, int]


def check_deliveries(evidence: Evidence) -> Iterator[Violation]:
    """Judge every subscriber over all its reconnects."""
    changes = evidence.changes
    accounts = {following.account_id for following in evidence.followings if following.order_id is None}
    orders = {following.order_id for following in evidence.followings}
    truth = _Truth(
        by_sequence={(each.account_id, each.sequence): each for each in changes if each.account_id in accounts},
        by_version={(each.order_id, each.version): each for each in changes if each.order_id in orders},
        sequences=evidence.sequences,
        versions={order.id: order.version for order in evidence.orders},
    )
    for following in evidence.followings:
        for what in _wrong(following, truth):
            subject = f"subscriber {following.subscriber}, {following.order_id or following.account_id}"
            yield Violation(invariant=5, what=what, subject=subject)
    if evidence.behind_seconds is None or evidence.behind_seconds > BEHIND_MAX_SECONDS:
        what = f"a subscriber lacked a change for more than {BEHIND_MAX_SECONDS:g} s after the faults had ended"
        yield Violation(invariant=5, what=what, subject="all subscribers")


def _wrong(following: Following, truth: _Truth) -> Iterator[str]:
    yield from (f"error: {error}" for error in following.errors)
    seen: int | None = None
    for session in following.sessions:
        if session.after != seen:
            yield f"resumed after {session.after}, and had seen {seen}"
        for message in session.messages:
            yield from _wrong_message(following, session, message, seen=seen, truth=truth)
            seen = message.place
    yield from _wrong_end(following, seen, truth)


def _wrong_message(
    following: Following, session: Session, message: Message, *, seen: int | None, truth: _Truth
) -> Iterator[str]:
    is_first = session.messages[0] is message
    match message.kind:
        case "CHECKPOINT":
            if not is_first or (session.after is not None and message.place != session.after):
                yield f"a checkpoint at {message.place} after {seen}"
        case "SNAPSHOT":
            if not is_first or session.after is not None:
                yield f"a snapshot of version {message.place} after {seen}"
            yield from _wrong_content(following, message, truth)
        case "CHANGE":
            if seen is None:
                yield f"change {message.place} came first, without a snapshot or checkpoint"
            elif message.place != seen + 1:
                yield _wrong_step(message.place, seen)
            yield from _wrong_content(following, message, truth)
        case _:
            yield f"{message.kind} at {message.place}: history is kept here for ever"


def _wrong_step(place: int, seen: int) -> str:
    if place <= seen:
        return f"change {place} came again, or late, after {seen}"
    return f"changes {seen + 1} to {place - 1} were missed"


def _wrong_content(following: Following, message: Message, truth: _Truth) -> Iterator[str]:
    if following.order_id is None:
        change = truth.by_sequence.get((following.account_id, message.place))
    else:
        change = truth.by_version.get((following.order_id, message.place))
    if change is None:
        yield f"change {message.place} is not in the database"
        return
    told = (message.order_id, message.version, message.status, message.filled_quantity)
    if told != (change.order_id, change.version, change.status, change.filled_quantity):
        yield f"change {message.place} is another one in the database"


def _may_have_missed(following: Following, seen: int | None, newest: int, truth: _Truth) -> bool:
    """Return whether a completed stream reported missing fills, or the exchange changed the order after its end: it
    was live after all, or an execution was busted, whose own id may be listed as that of an earlier fill. Or only
    the reason of the end changed: a look-up may report a rejection before the stream has its text. A late fill is
    not a reason.
    """
    if any(session.messages for session in following.sessions):
        last = next(session.messages[-1] for session in reversed(following.sessions) if session.messages)
        if last.shows_difference:
            return True
    order_id, behind = following.order_id or "", range((seen or 0) + 1, newest + 1)
    changes = [change for version in behind if (change := truth.by_version.get((order_id, version))) is not None]
    end = truth.by_version.get((order_id, seen or 0))
    is_worded_otherwise = end is not None and all(_state(change) == _state(end) for change in changes)
    return is_worded_otherwise or any(change.kind in AFTER_THE_END for change in changes)


def _state(change: StoredChange) -> tuple[str, str, Decimal]:
    return change.kind, change.status, change.filled_quantity


def _wrong_end(following: Following, seen: int | None, truth: _Truth) -> Iterator[str]:
    if following.order_id is None:
        newest = truth.sequences.get(following.account_id, 0)
    else:
        newest = truth.versions.get(following.order_id, 0)
        if following.is_over and _may_have_missed(following, seen, newest, truth):
            return
    if seen != newest:
        yield f"ended at {seen}, and the database is at {newest}"
