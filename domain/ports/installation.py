"""The installation: what its orders at the venue are recognized by."""

from typing import Protocol

from domain.model.order_identity import InstallationPrefixes


class Installation(Protocol):
    """The installation's identity, which the database keeps."""

    async def prefixes(self) -> InstallationPrefixes:
        """Return the prefixes, read once. Raises UnavailableError while they could not be read yet."""
