"""Sealing of the accounts' changes: it hashes committed changes, without delaying the orders.

A change is sealed once: the hash of an account's chain covers every change up to the sealed one. Committed changes have
no gap, so a missing change, or a position below its seal, means that rows were removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.model.audit_chain import ChainHead, ChangeRecord, change_hash
from domain.ports.audit import AccountSeals, ChangeRange, NewSeal, SealedAccount
from domain.ports.telemetry import Metric, Telemetry

ACCOUNTS_PER_ROUND_MAX = 1_000
CHANGES_PER_READ_MAX = 500
"""Changes read and hashed without a pause: about five milliseconds in which a worker does nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """The use case of sealing. One process at a time seals, `holder`, under a lease of `lease`; a round seals at
    most `changes_max` changes, so that those of an old database are sealed at a bounded rate.
    """

    seals: AccountSeals
    telemetry: Telemetry
    holder: UUID
    lease: timedelta
    changes_max: int
    _reported: set[str] = field(default_factory=set)

    async def seal(self) -> bool:
        """Seal committed changes; return True when none was left over. Raises UnavailableError."""
        if not await self.seals.lead(self.holder, lease=self.lease):
            return True
        # As nothing more is sealed of a broken account, a thousand of them would be all that is ever found.
        accounts = await self.seals.unsealed(limit=ACCOUNTS_PER_ROUND_MAX, last=self._reported)
        sound = [account for account in accounts if not self._is_shorter(account)]
        ranges = share_changes(sound, changes_max=self.changes_max)
        heads = {account.account_id: account.head for account in sound}
        for portion in split_ranges(ranges, changes_max=CHANGES_PER_READ_MAX):
            await self._seal_portion(portion, heads)
        wanted = sum(account.sequence - account.head.sequence for account in sound)
        return len(accounts) < ACCOUNTS_PER_ROUND_MAX and wanted <= sum(one.up_to - one.after for one in ranges)

    async def _seal_portion(self, ranges: Sequence[ChangeRange], heads: dict[str, ChainHead]) -> None:
        """Seal the ranges that follow on their account's head, and move the heads."""
        try:
            seals = self._new_seals(ranges, heads, await self.seals.changes(ranges))
        except (OverflowError, ValueError) as error:
            # A moment that Python does not know. It must not keep the other accounts from being sealed.
            if len(ranges) > 1:
                for one in ranges:
                    await self._seal_portion([one], heads)
                return
            account_id, after, up_to = ranges[0].account_id, ranges[0].after, ranges[0].up_to
            self._report(account_id, f"changes cannot be read: {error!r}", sealed=after, position=up_to)
            return
        sealed = await self.seals.seal(seals) if seals else ()
        for seal in seals:
            if seal.account_id in sealed:
                heads[seal.account_id] = seal.head
                self.telemetry.count(Metric.AUDIT_SEALED, seal.head.sequence - seal.replaces.sequence)

    def _new_seals(
        self,
        ranges: Sequence[ChangeRange],
        heads: Mapping[str, ChainHead],
        found: Mapping[str, Sequence[ChangeRecord]],
    ) -> Sequence[NewSeal]:
        seals = []
        for one in ranges:
            changes, head = found[one.account_id], heads[one.account_id]
            if [change.sequence for change in changes] != list(range(one.after + 1, one.up_to + 1)):
                self._report(one.account_id, "changes are missing", sealed=head.sequence, position=one.up_to)
            elif head.sequence == one.after:
                seals.append(NewSeal(account_id=one.account_id, replaces=head, head=head_after(head, changes)))
        return seals

    def _is_shorter(self, account: SealedAccount) -> bool:
        if account.sequence >= account.head.sequence:
            return False
        found = "the account's position is below its seal"
        self._report(account.account_id, found, sealed=account.head.sequence, position=account.sequence)
        return True

    def _report(self, account_id: str, found: str, *, sealed: int, position: int) -> None:
        """Log it once for each account and process: sealing of the account stops until a person has checked it."""
        if account_id in self._reported:
            return
        self._reported.add(account_id)
        self.telemetry.error(
            "audit_trail_broken",
            account=account_id,
            found=found,
            sealed=sealed,
            position=position,
            next="nothing more of it is sealed; run `fillwire audit verify`",
        )


def head_after(head: ChainHead, changes: Sequence[ChangeRecord]) -> ChainHead:
    """Return the head after the changes, which follow the head without a gap."""
    sequence, link = head
    for change in changes:
        sequence, link = change.sequence, change_hash(link, change)
    return ChainHead(sequence, link)


def share_changes(accounts: Sequence[SealedAccount], *, changes_max: int) -> Sequence[ChangeRange]:
    """Return what is sealed of each account: evenly shared, so that a long history delays no other account."""
    ranges, left = [], changes_max
    by_size = sorted(accounts, key=lambda account: account.sequence - account.head.sequence)
    for others, account in zip(range(len(by_size), 0, -1), by_size, strict=True):
        taken = min(account.sequence - account.head.sequence, left // others)
        left -= taken
        if taken:
            after = account.head.sequence
            ranges.append(ChangeRange(account_id=account.account_id, after=after, up_to=after + taken))
    return ranges


def split_ranges(ranges: Sequence[ChangeRange], *, changes_max: int) -> Iterator[Sequence[ChangeRange]]:
    """Yield the ranges in portions of at most `changes_max` changes; one account's parts are in their order."""
    portion: list[ChangeRange] = []
    room = changes_max
    for one in ranges:
        after = one.after
        while after < one.up_to:
            up_to = min(one.up_to, after + room)
            portion.append(ChangeRange(account_id=one.account_id, after=after, up_to=up_to))
            room, after = room - (up_to - after), up_to
            if not room:
                yield portion
                portion, room = [], changes_max
    if portion:
        yield portion
