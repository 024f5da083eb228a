"""A constructed run without violations, for tests to change in one place each.

One account; order A is acknowledged, placed and filled in two executions, order B is canceled before it was sent.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tools.chaos.evidence import (
    Batch,
    Evidence,
    Following,
    LeaderStep,
    Message,
    PlaceAnswer,
    PlacingStep,
    Session,
    StoredChange,
    StoredExecution,
    StoredOrder,
    VenueExecution,
    VenueOrder,
)

ACCOUNT = "account-1"
A, B = "order-a", "order-b"
WORKER, OTHER_WORKER = "fillwire worker 11", "fillwire worker 12"
INGEST, OTHER_INGEST = "fillwire ingest 21", "fillwire ingest 22"
ZERO, TWO, FIVE = Decimal(0), Decimal(2), Decimal(5)


def change(
    sequence: int, order_id: str, version: int, status: str, filled: Decimal = ZERO, *, kind: str = "any"
) -> StoredChange:
    """Return a stored change."""
    return StoredChange(
        account_id=ACCOUNT,
        sequence=sequence,
        order_id=order_id,
        version=version,
        kind=kind,
        status=status,
        filled_quantity=filled,
    )


CHANGES = (
    change(1, A, 1, "PENDING"),
    change(2, B, 1, "PENDING"),
    change(3, A, 2, "PLACED"),
    change(4, B, 2, "CANCELED"),
    change(5, A, 3, "PARTIALLY_FILLED", TWO),
    change(6, A, 4, "FILLED", FIVE),
)


def message_of(sequence: int) -> Message:
    """Return the message of an account's stream about that change."""
    stored = CHANGES[sequence - 1]
    return Message(
        kind="CHANGE",
        place=sequence,
        order_id=stored.order_id,
        version=stored.version,
        status=stored.status,
        filled_quantity=stored.filled_quantity,
    )


def checkpoint(sequence: int) -> Message:
    """Return the position of an account's stream."""
    return Message(kind="CHECKPOINT", place=sequence)


def account_following(*sessions: Session) -> Following:
    """Return a subscriber of the account."""
    return Following(subscriber=0, account_id=ACCOUNT, sessions=list(sessions))


def order_a(**changed: Any) -> StoredOrder:
    """Order A as it is stored."""
    order = StoredOrder(
        id=A,
        account_id=ACCOUNT,
        client_order_id="client-a",
        venue_client_order_id="name-a",
        venue_order_id="venue-a",
        symbol="AAPL",
        quantity=FIVE,
        status="FILLED",
        derived_status="FILLED",
        version=4,
        filled_quantity=FIVE,
        notional=Decimal(50),
        is_due=False,
        is_cancel_due=False,
    )
    return replace(order, **changed)


def order_b(**changed: Any) -> StoredOrder:
    """Order B as it is stored."""
    canceled = order_a(
        id=B,
        client_order_id="client-b",
        venue_order_id=None,
        status="CANCELED",
        derived_status="CANCELED",
        version=2,
        filled_quantity=ZERO,
        notional=ZERO,
    )
    return replace(canceled, **changed)


def venue_order(**changed: Any) -> VenueOrder:
    """Order A as the exchange has it."""
    order = VenueOrder(
        order_id=A, venue_order_id="venue-a", symbol="AAPL", quantity=FIVE, filled_quantity=FIVE, end="filled"
    )
    return replace(order, **changed)


def place_answer(name: str, order_id: str | None, **changed: Any) -> PlaceAnswer:
    """Return an acknowledgement."""
    answer = PlaceAnswer(account_id=ACCOUNT, client_order_id=name, outcome="ok", order_id=order_id)
    return replace(answer, **changed)


def placing_step(**changed: Any) -> PlacingStep:
    """Return the claim of a first attempt."""
    step = PlacingStep(
        order_id=A,
        attempt_before=0,
        attempt=1,
        lease_left_seconds=None,
        is_leased=True,
        attempts_changed=True,
        maybe_sent_changed=False,
        writer=WORKER,
    )
    return replace(step, **changed)


def takeover(epoch: int, writer: str) -> LeaderStep:
    """Return the row of an ingest that begins to lead."""
    return LeaderStep(epoch_before=epoch - 1, epoch=epoch, moment_before=10.0, moment=10.0, writer=writer)


def position(epoch: int, writer: str, **changed: Any) -> LeaderStep:
    """Return the row of the leader that advances the stream's position."""
    return replace(takeover(epoch, writer), epoch_before=epoch, moment=11.0, **changed)


def batch(epoch: int, writer: str) -> Batch:
    """Return the row of an ingest that records a batch."""
    return Batch(writer=writer, epoch=epoch, transaction_id="900", changes=3)


def good_run(**changed: Any) -> Evidence:
    """Return the run without violations, with the test's changes."""
    ended = placing_step(
        attempt_before=1, lease_left_seconds=5.0, is_leased=False, attempts_changed=False, maybe_sent_changed=True
    )
    evidence = Evidence(
        place_answers=[
            place_answer("client-a", None, outcome="info"),
            place_answer("client-a", A),
            place_answer("client-a", A, replayed=True),
            place_answer("client-b", B),
            place_answer("client-never", None, outcome="info"),
        ],
        followings=[
            account_following(
                Session(after=None, messages=[checkpoint(1), message_of(2), message_of(3)]),
                Session(after=3),
                Session(after=3, messages=[checkpoint(3), message_of(4), message_of(5), message_of(6)]),
            ),
            Following(
                subscriber=1,
                account_id=ACCOUNT,
                order_id=A,
                sessions=[
                    Session(after=None, messages=[_of_order(3, kind="SNAPSHOT")]),
                    Session(after=2, messages=[_of_order(5), _of_order(6)], completed=True),
                ],
            ),
        ],
        venue_orders=[venue_order()],
        venue_executions=[
            VenueExecution(execution_id="x-1", order_id=A, quantity=TWO, price=Decimal(10)),
            VenueExecution(execution_id="x-2", order_id=A, quantity=Decimal(3), price=Decimal(10)),
        ],
        orders=[order_a(), order_b()],
        executions=[
            StoredExecution(execution_id="x-2", order_id=A, quantity=Decimal(3), price=Decimal(10)),
            StoredExecution(execution_id="x-1", order_id=A, quantity=TWO, price=Decimal(10)),
        ],
        changes=CHANGES,
        sequences={ACCOUNT: 6},
        placing_steps=[placing_step(), ended],
        leader_steps=[takeover(4, INGEST), position(4, INGEST), takeover(5, OTHER_INGEST)],
        batches=[batch(4, INGEST), batch(5, OTHER_INGEST)],
    )
    return replace(evidence, **changed)


def _of_order(sequence: int, *, kind: str = "CHANGE") -> Message:
    message = message_of(sequence)
    assert message.version is not None
    return replace(message, kind=kind, place=message.version)
