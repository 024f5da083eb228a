"""Messages signed by the tests according to the documents: for messages that our own publisher never sends."""

import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from broadcast.envelope import Message, MessageSigner
from broadcast.messages import encode
from broadcast.shards import channel_of, shard_of
from domain.model.changes import RecordedChange

KEY = b"the key of the tests' installation"
SIGNER = MessageSigner([KEY])


def a_message(change: RecordedChange) -> dict[str, Any]:
    """Return the content of the message of one change, without its signature."""
    content: dict[str, Any] = orjson.loads(encode([change], signer=SIGNER).raw)
    del content["mac"]
    return content


def signed(content: Mapping[str, object], *, key: bytes = KEY, account_id: str = "demo") -> Message:
    """Return any content with a signature for the account's channel."""
    channel = channel_of(shard_of(account_id))
    rest = orjson.dumps(content)[1:]
    mac = hmac.new(key, str(len(channel)).encode() + b":" + channel + rest, "sha256").hexdigest()
    return Message(channel=channel, raw=b'{"mac":"' + mac.encode() + b'",' + rest)
