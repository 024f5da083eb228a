"""Verification of the audit trail: reads a stream of records, yields findings. Pure, with bounded memory.

The records are those of an export (see `domain.model.audit_records`), so that a database and a file are verified by the
same rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.model.audit_chain import (
    ACTION_FIELDS,
    ACTIONS_TAG,
    CHANGES_TAG,
    ChainHead,
    ChangeRecord,
    account_genesis,
    actions_genesis,
    link_hash,
)
from domain.model.audit_records import Chain, Record


class FindingKind(StrEnum):
    """What can be wrong."""

    ALTERED = "altered"  # the stored hash does not match the rows
    MISSING = "missing"  # rows in the middle are gone
    TRUNCATED = "truncated"  # rows at the end are gone
    REWRITTEN = "rewritten"  # the chain is sound, and not the one whose head was exported
    UNEXPECTED = "unexpected"  # rows outside of the chain
    UNREADABLE = "unreadable"  # a record of a file that is none, or rows that no moment or number of ours fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with the links from `first` to `last` of a chain."""

    kind: FindingKind
    account_id: Chain
    first: int
    last: int

    def __str__(self) -> str:
        """Return it in a sentence."""
        what = "operator_actions" if self.account_id is None else f"changes of account {self.account_id!r}"
        which = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.kind}: {what}, sequence {which}"


@dataclass(slots=True)
class TrailVerifier:
    """Verifies records in their order. `exported` are heads stored elsewhere, by chain."""

    exported: Mapping[Chain, Sequence[ChainHead]] = field(default_factory=dict)
    chains: int = 0
    links: int = 0
    _seen: set[Chain] = field(default_factory=set)
    _current: "_ChainVerifier | None" = None

    def take(self, record: Record) -> Iterator[Finding]:
        """Yield what the record shows to be wrong. Raises ValueError, KeyError or TypeError for one that is none."""
        kind = record["type"]
        if kind == "start":
            yield from self._start(record)
        elif kind in {"head", "seal"}:
            if self._current is not None:
                self._current.expect(_head_of(record))
        elif kind in {"action", "change"}:
            self.links += 1
            yield from self._chain_of(record).add(record)
        elif kind == "end":
            yield from self._chain_of(record).end(record)
            self._current = None
        elif kind == "unreadable":
            next_one = self._chain_of(record).last + 1
            self._current = None
            yield Finding(kind=FindingKind.UNREADABLE, account_id=_chain_name(record), first=next_one, last=next_one)
        elif kind != "export":
            raise ValueError(f"unknown type of a record: {kind!r}")

    def finish(self) -> Iterator[Finding]:
        """Yield the chains with an exported head that no longer exist. Call it last."""
        if self._current is not None:
            yield from self._current.truncated(self._current.last + 1)
        for chain, heads in self.exported.items():
            if chain not in self._seen and (last := max(head.sequence for head in heads)):
                yield Finding(kind=FindingKind.TRUNCATED, account_id=chain, first=1, last=last)

    def _start(self, record: Record) -> Iterator[Finding]:
        if self._current is not None:
            yield from self._current.truncated(self._current.last + 1)
        chain, head = _chain_name(record), _head_of(record)
        genesis = actions_genesis() if chain is None else account_genesis(chain)
        self._current = _ChainVerifier(account_id=chain, last=head.sequence, hash=head.hash)
        self._seen.add(chain)
        self.chains += 1
        if head.sequence == 0 and head != genesis:
            yield Finding(kind=FindingKind.ALTERED, account_id=chain, first=0, last=0)
        yield from self._current.compare_exported(self.exported.get(chain, ()))

    def _chain_of(self, record: Record) -> "_ChainVerifier":
        chain = _chain_name(record)
        if self._current is None or self._current.account_id != chain:
            raise ValueError(f"a record of {chain!r} outside of its chain")
        return self._current


@dataclass(slots=True)
class _ChainVerifier:
    """The links of one chain. After missing ones `hash` is None until the next hash that is stored."""

    account_id: Chain
    last: int
    hash: str | None
    _checked: int = field(init=False)
    _expected: dict[int, set[str]] = field(default_factory=dict)
    _exported: dict[int, set[str]] = field(default_factory=dict)
    _agreed: int = field(init=False)
    _is_rewritten: bool = False

    def __post_init__(self) -> None:
        """Begin after the start: everything up to it counts as checked."""
        self._checked = self._agreed = self.last

    def expect(self, head: ChainHead) -> None:
        """Remember a stored hash until its link arrives."""
        if head.sequence > self.last:
            self._expected.setdefault(head.sequence, set()).add(head.hash)

    def compare_exported(self, heads: Sequence[ChainHead]) -> Iterator[Finding]:
        """Remember the exported heads; yield a finding when the start differs from the exported one."""
        for head in heads:
            if head.sequence > self.last:
                self._exported.setdefault(head.sequence, set()).add(head.hash)
            elif head.sequence == self.last and head.hash != self.hash:
                yield self._rewritten(head.sequence)

    def add(self, record: Record) -> Iterator[Finding]:
        """Add the next link."""
        sequence = int(str(record["sequence"]))
        if sequence <= self.last:
            yield self._finding(FindingKind.UNEXPECTED, sequence, sequence)
            return
        if sequence > self.last + 1:
            yield self._finding(FindingKind.MISSING, self.last + 1, sequence - 1)
            self._forget_expected_before(sequence)
            self.hash = None
        is_action = record["type"] == "action"
        fields: Sequence[str] = ACTION_FIELDS if is_action else ChangeRecord._fields
        if not is_action and record.get("restatement") is None:
            fields = fields[:-1]
        texts = [_text_of(record, name) for name in fields]
        if self.hash is not None:
            self.hash = link_hash(ACTIONS_TAG if is_action else CHANGES_TAG, self.hash, texts)
        self.last = sequence
        stored = self._expected.pop(sequence, set())
        if is_action:
            stored.add(str(record["hash"]))
        if stored:
            yield from self._compare(stored)
        yield from self._compare_with_exported()

    def end(self, record: Record) -> Iterator[Finding]:
        """Close the chain: it must reach its position, every stored hash and every exported head."""
        ends = [int(str(record["position"])), *self._expected, *self._exported]
        yield from self.truncated(max(ends))
        unexpected = record["unexpected"]
        if unexpected is not None:
            sequence = int(str(unexpected))
            yield self._finding(FindingKind.UNEXPECTED, sequence, sequence)

    def truncated(self, end: int) -> Iterator[Finding]:
        """Yield a finding unless the links reach `end`."""
        if end > self.last:
            yield self._finding(FindingKind.TRUNCATED, self.last + 1, end)

    def _compare(self, stored: set[str]) -> Iterator[Finding]:
        if self.hash is not None and stored != {self.hash}:
            yield self._finding(FindingKind.ALTERED, self._checked + 1, self.last)
        if self.hash not in stored:
            # Continue from the stored hash: so each part is verified separately, and the altered one is named.
            self.hash = min(stored)
        self._checked = self.last

    def _compare_with_exported(self) -> Iterator[Finding]:
        exported = self._exported.pop(self.last, None)
        if exported is None:
            return
        if self.hash is None and len(exported) == 1:
            self.hash = next(iter(exported))
        # Two of one link that differ: it was exported before and after the chain was computed again.
        if exported == {self.hash}:
            self._agreed = self.last
        elif not self._is_rewritten:
            yield self._rewritten(self.last)

    def _rewritten(self, sequence: int) -> Finding:
        # Later heads differ as well: one finding is enough.
        self._is_rewritten = True
        return self._finding(FindingKind.REWRITTEN, min(self._agreed + 1, sequence), sequence)

    def _forget_expected_before(self, sequence: int) -> None:
        for known in (self._expected, self._exported):
            for passed in [one for one in known if one < sequence]:
                del known[passed]
        self._checked = sequence - 1

    def _finding(self, kind: FindingKind, first: int, last: int) -> Finding:
        return Finding(kind=kind, account_id=self.account_id, first=first, last=last)


def read_heads(records: Iterator[Record]) -> Mapping[Chain, Sequence[ChainHead]]:
    """Return the heads among the records, by chain. Raises ValueError, KeyError or TypeError for what is no record."""
    heads: dict[Chain, list[ChainHead]] = {}
    for record in records:
        if record["type"] == "head":
            heads.setdefault(_chain_name(record), []).append(_head_of(record))
    return heads


def _chain_name(record: Record) -> Chain:
    if record["type"] == "action":
        return None
    name = record["account_id"] if record["type"] == "change" else record["account"]
    return None if name is None else str(name)


def _head_of(record: Record) -> ChainHead:
    return ChainHead(int(str(record["sequence"])), str(record["hash"]))


def _text_of(record: Record, name: str) -> str | None:
    value = record[name]
    return None if value is None else str(value)
