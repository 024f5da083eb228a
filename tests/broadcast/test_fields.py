"""Values that a signed message may contain: usable in calculations, comparable and printable."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.envelope import MessageError, Refusal
from broadcast.messages import decode
from domain.model.changes import RecordedChange
from domain.model.values import format_decimal
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.signed_messages import SIGNER, a_message, signed


def a_fill() -> RecordedChange:
    log = ChangeHistory()
    log.append(a_snapshot())
    return log.append(a_snapshot())


def changed(path: str, value: object) -> Mapping[str, Any]:
    """Return the message of a fill with one value replaced."""
    message = a_message(a_fill())
    target: Any = message["changes"][0]
    *parents, name = path.split(".")
    for parent in parents:
        target = target[parent]
    assert name in target
    target[name] = value
    return message


ODD_COUNTS: Sequence[object] = [-1, 2**63, 2**64 - 1, 1.5, "1", True, None]
ODD_DECIMALS: Sequence[object] = [
    *("NaN", "sNaN", "-NaN", "Infinity", "-Infinity"),
    *("1E+999999", "1E-999999", "0E+999999", "9" * 200, "", 1, None),
]
ODD: Mapping[tuple[str, ...], Sequence[object]] = {
    ("order.filled_quantity", "order.notional", "execution.price"): ODD_DECIMALS,
    ("at", "order.created_at", "execution.executed_at"): [
        *("2026-01-05T08:00:00", "2026-01-05", "never", "", 0, None, "9999-12-31T23:59:59-23:59"),
    ],
    ("sequence", "order.version", "order.placement.attempts"): ODD_COUNTS,
    ("order.terms.symbol", "order.terms.client_order_id"): ["x" * 10_001, 1, None, ["x"]],
    ("order.status",): ["OWNED", "filled", 1, None, []],
    ("kind",): ["fill", "", 0, {}],
    ("order.reason",): [[], ["VENUE"], ["NOBODY", "x", "y"], "abc", 3],
    ("order.id",): ["not an id", 1, None],
    ("order",): [None],
    ("execution",): [[]],
}
ODD_VALUES = [(path, value) for paths, values in ODD.items() for path in paths for value in values]


@pytest.mark.parametrize(("path", "value"), ODD_VALUES)
def test_a_value_that_nothing_can_be_done_with_is_refused_although_it_is_signed(path: str, value: object) -> None:
    envelope = SIGNER.open(signed(changed(path, value)))

    with pytest.raises(MessageError) as refused:
        decode(envelope)

    assert refused.value.refusal is Refusal.CONTENT
    assert envelope.newest == 2


@pytest.mark.parametrize("newest", ODD_COUNTS)
def test_a_position_that_is_no_sequence_is_refused_although_it_is_signed(newest: object) -> None:
    with pytest.raises(MessageError):
        SIGNER.open(signed(a_message(a_fill()) | {"newest": newest}))


decimals = st.decimals(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [Decimal("9E+23"), Decimal("1E-18"), Decimal("9.9E+41"), Decimal("1E-36"), Decimal("-0")]
)


@given(notional=decimals, filled=decimals, price=decimals)
def test_an_order_with_any_accepted_numbers_can_be_shown(notional: Decimal, filled: Decimal, price: Decimal) -> None:
    message = changed("order.notional", str(notional))
    message["changes"][0]["order"]["filled_quantity"] = str(filled)
    message["changes"][0]["execution"]["price"] = str(price)
    try:
        [change] = decode(SIGNER.open(signed(message)))
    except MessageError:
        return

    shown = [change.order.average_price, change.order.leaves_quantity, change.order.notional]

    assert all(len(format_decimal(value)) < 200 for value in shown if value is not None)


def test_a_time_of_another_zone_is_read_in_utc() -> None:
    [change] = decode(SIGNER.open(signed(changed("at", "2026-01-05T10:00:00+02:00"))))

    assert change.at == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert change.at.tzinfo is UTC
