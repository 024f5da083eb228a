"""The signature of a message: every altered message is refused."""

import hashlib
import hmac
import itertools
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.envelope import MESSAGE_MAX_BYTES, Message, MessageError, MessageSigner, Refusal, account_of
from broadcast.messages import decode, encode
from broadcast.shards import SHARD_COUNT, channel_of, shard_of
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.signed_messages import KEY, SIGNER, a_message, signed

CHANGE = ChangeHistory().append(a_snapshot())
GENUINE = encode([CHANGE], signer=SIGNER)
OLD, NEW, OTHER = (bytes([number]) * 32 for number in range(3))

places = st.integers(0, len(GENUINE.raw))
edits = st.lists(
    st.tuples(places, st.integers(0, 70), st.binary(max_size=6) | st.sampled_from([b'"', b'","newest":', b"NaN"])),
    min_size=1,
    max_size=3,
)


def edited(raw: bytes, given_edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return the bytes with some replaced, inserted or deleted."""
    for place, deleted, inserted in given_edits:
        raw = raw[:place] + inserted + raw[place + deleted :]
    return raw


@given(edits)
def test_a_message_that_differs_in_any_byte_is_refused(given_edits: list[tuple[int, int, bytes]]) -> None:
    raw = edited(GENUINE.raw, given_edits)
    if raw == GENUINE.raw:
        return

    with pytest.raises(MessageError):
        SIGNER.open(Message(channel=GENUINE.channel, raw=raw))


@given(st.integers(0, len(GENUINE.raw) - 1), st.integers(1, 255))
def test_a_message_of_which_one_byte_is_another_is_refused(place: int, change: int) -> None:
    raw = bytearray(GENUINE.raw)
    raw[place] ^= change

    with pytest.raises(MessageError):
        SIGNER.open(Message(channel=GENUINE.channel, raw=bytes(raw)))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        SIGNER.open(Message(channel=GENUINE.channel, raw=raw))


def test_a_message_is_refused_on_every_other_channel() -> None:
    channels = [channel_of(shard) for shard in range(SHARD_COUNT)] + [b"", b"other", GENUINE.channel + b"1"]
    for channel in channels:
        if channel == GENUINE.channel:
            continue
        with pytest.raises(MessageError):
            SIGNER.open(Message(channel=channel, raw=GENUINE.raw))


def test_a_channel_and_contents_that_join_to_the_same_bytes_have_other_signatures() -> None:
    signed_part = GENUINE.raw[len(b'{"mac":"') + 64 + len(b'",') :]
    shorter, moved = GENUINE.channel[:-1], GENUINE.channel[-1:]
    raw = GENUINE.raw[: -len(signed_part)] + moved + signed_part

    with pytest.raises(MessageError):
        SIGNER.open(Message(channel=shorter, raw=raw))


def test_the_signature_is_the_one_of_the_documents() -> None:
    """HMAC-SHA-256, written out from RFC 2104, over the channel with its length and everything after the signature."""
    head, rest = GENUINE.raw[: 8 + 64], GENUINE.raw[8 + 64 + 2 :]
    block = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(
        bytes(byte ^ 0x36 for byte in block) + b"%d:" % len(GENUINE.channel) + GENUINE.channel + rest
    ).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()

    assert head == b'{"mac":"' + outer.encode()
    assert signed(a_message(CHANGE)) == GENUINE


def test_the_release_before_signatures_reads_a_signed_message() -> None:
    data = orjson.loads(GENUINE.raw)

    assert (data["v"], data["account"], data["newest"]) == (1, "demo", 1)
    assert len(data["changes"]) == 1


def test_keys_are_rotated_in_three_steps_without_a_message_that_is_refused() -> None:
    """Processes of two steps run at the same time: old; old, new; new, old; new."""
    steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]
    for before, after in itertools.pairwise(steps):
        for sender, receiver in ((before, after), (after, before), (after, after)):
            message = encode([CHANGE], signer=MessageSigner(sender))
            assert decode(MessageSigner(receiver).open(message)) == [CHANGE]


def test_a_key_that_was_rotated_out_or_never_was_one_is_refused() -> None:
    for key in (OLD, OTHER, b""):
        with pytest.raises(MessageError) as refused:
            MessageSigner([NEW]).open(encode([CHANGE], signer=MessageSigner([key])))
        assert refused.value.refusal is Refusal.SIGNATURE


def test_a_mac_without_a_key_or_of_another_kind_is_refused() -> None:
    rest = GENUINE.raw[8 + 64 :]
    for mac in (
        hashlib.sha256(rest[2:]).hexdigest(),
        hmac.new(KEY, rest[2:], "sha256").hexdigest(),
        GENUINE.raw[8 : 8 + 64].decode().upper(),
        "0" * 64,
    ):
        if mac.encode() == GENUINE.raw[8 : 8 + 64]:
            continue
        with pytest.raises(MessageError):
            SIGNER.open(Message(channel=GENUINE.channel, raw=b'{"mac":"' + mac.encode() + rest))


def test_a_message_for_another_account_of_the_same_shard_is_refused() -> None:
    other = next(name for name in map(str, range(10_000)) if shard_of(name) == shard_of("demo"))
    raw = GENUINE.raw.replace(b'"account":"demo"', f'"account":"{other}"'.encode())

    assert account_of(Message(channel=GENUINE.channel, raw=raw)) == other
    with pytest.raises(MessageError):
        SIGNER.open(Message(channel=GENUINE.channel, raw=raw))


def test_a_message_that_is_too_long_is_refused_before_it_is_verified() -> None:
    with pytest.raises(MessageError) as refused:
        account_of(replace(GENUINE, raw=GENUINE.raw.ljust(MESSAGE_MAX_BYTES + 1)))

    assert refused.value.refusal is Refusal.SIZE
