"""The public keys of a token issuer (JWKS, RFC 7517): which are in use, and the listeners of their changes. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from graph.auth.signing_key import SigningKey, UnusableKeyError, read_signing_key

KEY_SET_MAX_BYTES = 262_144
KEYS_MAX = 100
"""Keys of one set that are looked at."""


class UnusableKeySetError(ValueError):
    """The text contains no usable key; the message has the reason and nothing of the text."""


Thumbprints = frozenset[str]
"""The keys in force, each by its RFC 7638 thumbprint, as in `Bearer.key_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Keys by key id and algorithm: keys of different kinds may share an id (RFC 7517, section 4.5).

    `skipped` counts the unusable entries by the reason, in fixed words.
    """

    keys: Mapping[tuple[str, str], SigningKey] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def thumbprints(self) -> Thumbprints:
        """The thumbprints of the keys."""
        return frozenset(key.thumbprint for key in self.keys.values())


class KeySetHolder:
    """The keys in use. A listener is called with the thumbprints of the new set when keys were added or removed.

    Listeners must not wait or raise. A removed key is one whose thumbprint is missing.
    """

    def __init__(self, keys: KeySet | None = None) -> None:
        self.keys = keys or KeySet()
        self._listeners: list[Callable[[Thumbprints], None]] = []

    def on_change(self, listener: Callable[[Thumbprints], None]) -> None:
        """Call the listener with each change from now on."""
        self._listeners.append(listener)

    def replace(self, keys: KeySet) -> bool:
        """Use these keys and return whether keys were added or removed."""
        before, self.keys = self.keys, keys
        if keys.thumbprints == before.thumbprints:
            return False
        for listener in self._listeners:
            listener(keys.thumbprints)
        return True


def parse_key_set(text: bytes) -> KeySet:
    """Return the usable keys of a JWKS; entries that cannot be used are skipped one by one.

    Raise UnusableKeySetError, a ValueError, when it is too large or too deep (1024 levels), not a JWKS, or without a
    usable key; no other error for any text.
    """
    if len(text) > KEY_SET_MAX_BYTES:
        raise UnusableKeySetError(f"the key set is larger than {KEY_SET_MAX_BYTES} bytes")
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnusableKeySetError("the key set is no JSON, or nested too deeply") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise UnusableKeySetError("no key set: an object with a list `keys` is expected (RFC 7517, section 5)")
    keys = _usable(entries)
    if not keys.keys:
        reasons = ", ".join(sorted(keys.skipped)) or "it is empty"
        raise UnusableKeySetError(f"no key in the set can be used: {reasons}")
    return keys


def _usable(entries: list[object]) -> KeySet:
    """Return the usable keys. Of two with one key id and algorithm the first one counts."""
    keys: dict[tuple[str, str], SigningKey] = {}
    skipped = Counter({f"more than {KEYS_MAX} keys": len(entries) - KEYS_MAX} if len(entries) > KEYS_MAX else {})
    for entry in entries[:KEYS_MAX]:
        try:
            key = read_signing_key(entry)
        except UnusableKeyError as reason:
            skipped[str(reason)] += 1
            continue
        first = keys.setdefault((key.key_id, key.algorithm), key)
        if first.thumbprint != key.thumbprint:
            skipped["another key has the same id and algorithm"] += 1
    return KeySet(keys=keys, skipped=dict(skipped))
