"""The message format: a written message is read back exactly, and other content is refused."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.envelope import Message, MessageError, account_of
from broadcast.messages import decode, encode
from broadcast.shards import SHARD_COUNT, channel_of, shard_of, shard_of_channel
from domain.model.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange
from domain.model.order import OrderStatus
from domain.model.restatement import Restatement
from domain.model.values import OrderType, Reason, ReasonSource, Side, Terms, TimeInForce
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.signed_messages import SIGNER, a_message, signed

zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001 - `timezones` makes them aware
decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=0, max_value=10**18, places=18
) | st.sampled_from([Decimal("1E+3"), Decimal("0.00"), Decimal("0E-18"), Decimal("12.50")])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
reasons = st.builds(Reason, source=st.sampled_from(ReasonSource), code=texts, message=texts)
all_terms = st.builds(
    Terms,
    client_order_id=texts,
    isin=texts,
    symbol=texts,
    side=st.sampled_from(Side),
    type=st.sampled_from(OrderType),
    time_in_force=st.sampled_from(TimeInForce),
    quantity=decimals,
    limit_price=st.none() | decimals,
)
placements = st.builds(
    PlacementState,
    attempts=st.integers(0, 99),
    last_attempt_at=st.none() | moments,
    next_attempt_at=st.none() | moments,
    last_error=st.none() | texts,
)
orders = st.builds(
    OrderSnapshot,
    id=st.uuids(),
    account_id=st.just("demo"),
    terms=all_terms,
    status=st.sampled_from(OrderStatus),
    filled_quantity=decimals,
    notional=decimals,
    reason=st.none() | reasons,
    venue_order_id=st.none() | texts,
    placement=placements,
    version=st.integers(1, 10**6),
    created_at=moments,
    updated_at=moments,
    restatement=st.none()
    | st.builds(Restatement, at=moments, quantity=decimals, symbol=texts, limit_price=st.none() | decimals),
)
executions = st.builds(
    ExecutionView, id=st.uuids(), quantity=decimals, price=decimals, executed_at=moments, received_at=moments
)
all_changes = st.builds(
    RecordedChange,
    sequence=st.integers(1, 2**53),
    kind=st.sampled_from(ChangeKind),
    at=moments,
    order=orders,
    execution=st.none() | executions,
)


@given(st.lists(all_changes, min_size=1, max_size=3))
def test_changes_are_read_back_exactly_as_they_were_written(changes: list[RecordedChange]) -> None:
    envelope = SIGNER.open(encode(changes, signer=SIGNER))

    read = decode(envelope)

    assert (envelope.account_id, envelope.newest) == ("demo", changes[-1].sequence)
    assert read == changes
    assert [str(change.order.notional) for change in read] == [str(change.order.notional) for change in changes]


FIRST = ChangeHistory().append(a_snapshot())


def test_a_message_of_another_version_still_shows_that_changes_exist() -> None:
    envelope = SIGNER.open(signed(a_message(FIRST) | {"v": 2, "changes": "in a form of the future"}))

    assert (envelope.account_id, envelope.newest, decode(envelope)) == ("demo", 1, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, st.data())
def test_reading_any_message_raises_only_a_message_error(value: object, data: st.DataObject) -> None:
    message = a_message(FIRST)
    target: object = message
    while isinstance(target, dict | list) and target and data.draw(st.booleans() | st.just(value=True)):
        key = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
        if not isinstance(target[key], dict | list) or data.draw(st.booleans()):
            target[key] = value
            break
        target = target[key]

    with suppress(MessageError):
        decode(SIGNER.open(signed(message)))


MAC = "0" * 64


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"v":1,"account":"demo","newest":1,"changes":[]}',
        f'{{"mac":"{MAC}"'.encode(),
        f'{{"mac":"{MAC}","account":"demo"'.encode(),
        f'{{"mac":"{MAC}","account":1,"newest":1}}'.encode(),
        f'{{"mac":"{MAC}","account":["a","newest":1}}'.encode(),
        f'{{"mac":"{MAC}","account":"\\ud800","newest":1}}'.encode(),
        f'{{"mac":"{MAC[1:]}","account":"demo","newest":1}}'.encode(),
    ],
)
def test_what_is_no_signed_message_is_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        account_of(Message(channel=b"", raw=raw))


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.just('a","newest":1,"b'))
def test_the_account_is_read_with_any_characters(account_id: str) -> None:
    message = encode([FIRST], signer=SIGNER)
    renamed = signed(a_message(FIRST) | {"account": account_id})

    assert account_of(message) == "demo"
    assert account_of(renamed) == account_id


def test_an_account_has_the_same_shard_in_every_process_and_release() -> None:
    assert [shard_of(account_id) for account_id in ("demo", "acme", "łódź", "")] == [32, 62, 27, 0]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_account_has_a_shard_and_every_shard_a_channel(account_id: str) -> None:
    shard = shard_of(account_id)

    assert 0 <= shard < SHARD_COUNT
    assert shard_of_channel(channel_of(shard)) == shard


@pytest.mark.parametrize("channel", [b"", b"other", b"fillwire:changes:", b"fillwire:changes:x", b"\xff:1"])
def test_channels_of_others_are_no_shards(channel: bytes) -> None:
    assert shard_of_channel(channel) is None
