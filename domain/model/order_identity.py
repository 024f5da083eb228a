"""The identity of an order at the venue: how its venue client order id is derived, and which ids are ours. Pure.

The id depends only on the installation's prefix, the account and the client order id. So an intent that is placed again
after its row was lost gets the same id, and the venue refuses the second order. It is derived once, when the order is
stored; from then on the row's value is used.
"""

import re
from base64 import b32encode
from dataclasses import field
from hashlib import sha256

from domain.model.frozen import frozen

VENUE_CLIENT_ORDER_ID_MAX_CHARACTERS = 48
INSTALLATION_PREFIX_MAX_CHARACTERS = 15
DIGEST_BYTES = 20
"""160 bits: 32 characters of base32, without padding."""
LENGTH_BYTES = 4

_PREFIX = re.compile(r"[a-z][a-z0-9]{1,14}", re.ASCII)
# Orders from before migration 0005 have as their name at the venue their id, a uuid version 7 in its canonical form.
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


def is_installation_prefix(text: str) -> bool:
    """Return whether the text may be a prefix: 2 to 15 characters of a-z 0-9, the first one a letter."""
    return _PREFIX.fullmatch(text) is not None


def derive_venue_client_order_id(*, prefix: str, account_id: str, client_order_id: str) -> str:
    """Return `<prefix>-<base32 of 160 bits of SHA-256>`, at most 48 characters.

    Each part is hashed after its length in bytes: no two pairs of account and client order id have the same input.
    """
    account, client = account_id.encode(), client_order_id.encode()
    digest = sha256(b"%b%b%b%b" % (_length(account), account, _length(client), client)).digest()
    return f"{prefix}-{b32encode(digest[:DIGEST_BYTES]).decode().lower()}"


def _length(part: bytes) -> bytes:
    return len(part).to_bytes(LENGTH_BYTES)


@frozen
class InstallationPrefixes:
    """The prefix of new orders, and the prefixes that earlier orders of this installation carry.

    A prefix is changed only while no order is open. The former ones still count: the venue may amend an execution of an
    ended order.
    """

    current: str
    former: tuple[str, ...] = ()
    _beginnings: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the comparison, which runs for every report."""
        object.__setattr__(self, "_beginnings", tuple(f"{prefix}-" for prefix in (self.current, *self.former)))

    def is_ours(self, venue_client_order_id: str) -> bool:
        """Return whether an order of that id is ours; any other is external."""
        return venue_client_order_id.startswith(self._beginnings) or _UUID7.fullmatch(venue_client_order_id) is not None
