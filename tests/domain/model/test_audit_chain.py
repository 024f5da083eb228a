"""The canonical form of docs/audit.md, and the property of a chain: every change of a record is detected."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.audit_chain import (
    ChainHead,
    ChangeRecord,
    account_genesis,
    action_hash,
    actions_genesis,
    canonical,
    change_hash,
    change_texts,
)
from domain.model.audit_records import Record, change_record, end_record, seal_record, start_record
from domain.model.audit_verification import Finding, FindingKind, TrailVerifier
from domain.model.operator_actions import OperatorAction
from domain.services.sealing import head_after

DOCUMENT = Path(__file__).parents[3] / "docs" / "audit.md"
AT = datetime(2026, 1, 31, 23, 59, 59, 123000, tzinfo=UTC)
CHANGE = ChangeRecord(
    account_id="zoë",
    sequence=1,
    order_id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    version=2,
    kind="FILL",
    at=AT,
    status="PARTIALLY_FILLED",
    filled_quantity=Decimal("10.50"),
    notional=Decimal("1E+3"),
    reason_source=None,
    reason_code=None,
    reason_message=None,
    venue_order_id="V1",
    execution_id=UUID("01890a5d-ac96-774b-bcce-b302099a8058"),
    execution_quantity=Decimal("10.50"),
    execution_price=Decimal("95.2380"),
    executed_at=AT,
    received_at=AT,
)
ACTION = OperatorAction(
    sequence=1,
    id=UUID("01890a5d-ac96-774b-bcce-b302099a8059"),
    at=AT,
    actor="olga",
    token_id=None,
    address="192.0.2.7",
    action="TRADING_HALTED",
    account_id="zoë",
    order_id=None,
    reason="fat finger",
    before=None,
    after="{}",
    hash="",
)


def examples() -> Sequence[tuple[str, str]]:
    """Return the document's examples: the hashed text, and its hash."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"^    (\d+:fillwire/\S.*,)\n\n    ([0-9a-f]{64})$", text, re.MULTILINE)


def test_the_document_s_examples_are_what_this_program_hashes() -> None:
    (_, actions_hash), (_, account_hash), (_, of_action), (_, of_change) = examples()

    assert (actions_hash, account_hash) == (actions_genesis().hash, account_genesis("zoë").hash)
    assert of_action == action_hash(actions_hash, ACTION)
    assert of_change == change_hash(account_hash, CHANGE)
    for text, hash_of_it in examples():
        assert hashlib.sha256(text.encode()).hexdigest() == hash_of_it


def test_equal_values_read_alike_and_different_ones_never_do() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    same = CHANGE._replace(at=elsewhere, filled_quantity=Decimal("10.5"), notional=Decimal("1000.00"))

    assert change_texts(same) == change_texts(CHANGE)
    assert canonical(["a", None]) != canonical(["a", "-"]) != canonical(["a", ""])
    assert canonical(["a,1:b"]) != canonical(["a", "b"])


def records_of(changes: Sequence[ChangeRecord], seals: Sequence[int]) -> list[Record]:
    """Return a valid chain of these changes, sealed at these sequences."""
    head = account_genesis("zoë")
    records: list[Record] = [start_record("zoë", head)]
    for change in changes:
        head = head_after(head, [change])
        if change.sequence in seals:
            records.append(seal_record("zoë", head, AT))
        records.append(change_record(change))
    return [*records, end_record("zoë", position=len(changes), unexpected=None)]


def found_in(records: Sequence[Record], exported: ChainHead | None = None) -> list[Finding]:
    """Verify the records."""
    verifier = TrailVerifier(exported={"zoë": [exported]} if exported else {})
    return [*(one for record in records for one in verifier.take(record)), *verifier.finish()]


CHANGES = st.integers(1, 12).map(lambda count: [CHANGE._replace(sequence=number + 1) for number in range(count)])


@given(st.data())
def test_no_record_of_a_sealed_chain_can_be_altered_removed_or_swapped(data: st.DataObject) -> None:
    changes = data.draw(CHANGES)
    seals = {len(changes), *data.draw(st.sets(st.integers(1, len(changes))))}
    records = records_of(changes, sorted(seals))
    places = [place for place, record in enumerate(records) if record["type"] == "change"]
    place = data.draw(st.sampled_from(places))
    field = data.draw(st.sampled_from(ChangeRecord._fields[2:]))

    assert found_in(records) == []
    altered = [*records]
    altered[place] = {**records[place], field: "other"}
    assert [one.kind for one in found_in(altered)] == [FindingKind.ALTERED]
    removed = found_in([*records[:place], *records[place + 1 :]])
    assert [one.kind for one in removed] == [FindingKind.TRUNCATED if place == places[-1] else FindingKind.MISSING]
    assert {(one.first, one.last) for one in removed} == {(places.index(place) + 1, places.index(place) + 1)}


@given(CHANGES, st.integers(1, 12))
def test_a_chain_that_was_computed_again_is_not_the_exported_one(changes: list[ChangeRecord], altered: int) -> None:
    number = min(altered, len(changes))
    exported = head_after(account_genesis("zoë"), changes)
    changes[number - 1] = changes[number - 1]._replace(kind="FILLED")
    rewritten = records_of(changes, [len(changes)])

    assert found_in(rewritten) == []
    assert [one.kind for one in found_in(rewritten, exported)] == [FindingKind.REWRITTEN]


@pytest.mark.parametrize(
    "record",
    [
        {"type": "change"},
        {"type": "seal", "account": "zoë"},
        {"type": "hat", "account": "zoë"},
        {**change_record(CHANGE), "account_id": "bob"},
        {**change_record(CHANGE), "sequence": "x"},
    ],
)
def test_what_is_no_record_of_the_chain_is_refused(record: Record) -> None:
    verifier = TrailVerifier()
    assert list(verifier.take(start_record("zoë", account_genesis("zoë")))) == []

    with pytest.raises((ValueError, KeyError, TypeError)):
        list(verifier.take(record))
