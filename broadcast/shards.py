"""Which channel an account's changes are published on: one of a fixed number of shards. Pure."""

import zlib

SHARD_COUNT = 64
"""Every process must agree on it: a change of it is a change of the message format."""

_PREFIX = b"fillwire:changes:"


def shard_of(account_id: str) -> int:
    """Return the account's shard, the same in every process and release (the built-in hash differs by process)."""
    return zlib.crc32(account_id.encode()) % SHARD_COUNT


def channel_of(shard: int) -> bytes:
    """Return the channel of a shard."""
    return b"%b%d" % (_PREFIX, shard)


def shard_of_channel(channel: bytes) -> int | None:
    """Return the shard of a channel, or None when it is not one of Fillwire's."""
    number = channel.removeprefix(_PREFIX)
    if number == channel or not number.isdigit():
        return None
    return int(number)
