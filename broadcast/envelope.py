"""The envelope of a message: its account, and the signature. Pure.

    {"mac":"<64 hex digits>","account":"demo","newest":17,"v":1,"changes":[…]}

The account is read without parsing the rest, since most messages of a shard are for accounts without subscribers. The
signature is an HMAC-SHA-256 (RFC 2104) over the channel, its length first, and every byte after the signature. `mac` is
a field like the others, so that the release before signatures can read these messages, too.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from hmac import compare_digest, digest
from typing import Any

import orjson

from domain.model.frozen import frozen

VERSION = 1
KEY_MIN_BYTES = 32
"""RFC 2104, section 3: a key shorter than the hash's output weakens it."""
KEYS_MAX = 2
MESSAGE_MAX_BYTES = 4_194_304
"""More than 200 changes need whose every text is as long as the database allows."""
SEQUENCE_MAX = 2**63 - 1
"""A sequence is a BIGINT."""

_HASH = "sha256"
_HEAD = b'{"mac":"'
_MAC_END = len(_HEAD) + 64
_SIGNED_AT = _MAC_END + len(b'",')
_BEFORE_ACCOUNT = b'","account":'
_ACCOUNT_AT = _MAC_END + len(_BEFORE_ACCOUNT)
# Inside a JSON text a quotation mark follows a backslash, so this cannot occur before the account's end.
_AFTER_ACCOUNT = b'","newest":'

SHAPE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading a well-formed JSON of a wrong shape can raise."""

Json = Mapping[str, Any]


class Refusal(StrEnum):
    """Why a message is ignored."""

    UNSIGNED = "unsigned"
    """It does not begin as a signed message does: foreign, or of the release before signatures."""
    SIGNATURE = "signature"
    """It was not signed for this channel with a key of this installation, or was altered since."""
    SIZE = "size"
    CONTENT = "content"
    """It was signed here, and something in it cannot be read: a value of a newer release, or a mistake of ours."""


class MessageError(ValueError):
    """A message that is not in this format, or not from this installation."""

    def __init__(self, refusal: Refusal, problem: str) -> None:
        super().__init__(problem)
        self.refusal = refusal


@frozen
class Message:
    """A message sent or received on a channel."""

    channel: bytes
    raw: bytes


@frozen
class Envelope:
    """A message that this installation signed, and whose changes are not built yet."""

    version: int
    account_id: str
    newest: int
    contents: Sequence[Json]


class MessageSigner:
    """Signs with the first key of the installation, and accepts each of them: two while keys are rotated."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def seal(self, *, channel: bytes, account_id: str, newest: int, changes: Sequence[Json]) -> Message:
        """Write and sign a message for this channel."""
        body = orjson.dumps({"account": account_id, "newest": newest, "v": VERSION, "changes": changes})
        return Message(channel=channel, raw=self.sign(channel, body[1:]))

    def sign(self, channel: bytes, signed: bytes) -> bytes:
        """Put the signature before a message that lacks only that."""
        return _HEAD + self.mac(channel, signed) + b'",' + signed

    def mac(self, channel: bytes, signed: bytes) -> bytes:
        """Return the signature, 64 hex digits, over these bytes under this name: a channel, or a key in Redis."""
        return _mac(self._keys[0], channel, signed)

    def has_made(self, mac: bytes, channel: bytes, signed: bytes) -> bool:
        """Return whether one of the keys has made this signature."""
        return any(compare_digest(mac, _mac(key, channel, signed)) for key in self._keys)

    def verify(self, message: Message) -> None:
        """Raise MessageError for a message that none of the keys has signed for this channel."""
        given, signed = message.raw[len(_HEAD) : _MAC_END], message.raw[_SIGNED_AT:]
        if not self.has_made(given, message.channel, signed):
            raise MessageError(Refusal.SIGNATURE, "no key of this installation has signed it for this channel")

    def open(self, message: Message, *, account_id: str | None = None) -> Envelope:
        """Verify a message and read the part that is the same in every version; raise MessageError. `account_id` is
        the result of `account_of` for this message, if it was called before.
        """
        if account_id is None:
            account_id = account_of(message)
        self.verify(message)
        return _read(message.raw, account_id=account_id)


def account_of(message: Message) -> str:
    """Return the account named in the message, before it is verified. Raise MessageError."""
    raw = message.raw
    if len(raw) > MESSAGE_MAX_BYTES:
        raise MessageError(Refusal.SIZE, f"{len(raw)} bytes, at most {MESSAGE_MAX_BYTES} are read")
    end = raw.find(_AFTER_ACCOUNT, _ACCOUNT_AT + 1)
    if not raw.startswith(_HEAD) or raw[_MAC_END:_ACCOUNT_AT] != _BEFORE_ACCOUNT or end < 0:
        raise MessageError(Refusal.UNSIGNED, "not a signed message of changes")
    try:
        account_id = orjson.loads(raw[_ACCOUNT_AT : end + 1])
    except ValueError:
        account_id = None
    if not isinstance(account_id, str):
        raise MessageError(Refusal.UNSIGNED, "not a signed message of changes: its account is no text")
    return account_id


def _mac(key: bytes, channel: bytes, signed: bytes) -> bytes:
    return digest(key, b"%d:%b%b" % (len(channel), channel, signed), _HASH).hex().encode()


def _read(raw: bytes, *, account_id: str) -> Envelope:
    try:
        data = orjson.loads(raw)
        version, newest = data["v"], data["newest"]
        contents = data["changes"] if version == VERSION else ()
        same_account = data["account"] == account_id
    except SHAPE_ERRORS as error:
        raise MessageError(Refusal.CONTENT, f"not a message of changes: {error!r}") from None
    is_sequence = type(newest) is int and 0 <= newest <= SEQUENCE_MAX
    if not (same_account and is_sequence and isinstance(contents, list | tuple)):
        raise MessageError(Refusal.CONTENT, "not a message of changes: a part has the wrong type")
    return Envelope(version=version, account_id=account_id, newest=newest, contents=contents)
