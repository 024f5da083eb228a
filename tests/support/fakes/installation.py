"""An installation with a fixed prefix."""

from dataclasses import dataclass
from uuid import uuid4

from domain.model.order_identity import InstallationPrefixes

PREFIX = "test"
PREFIXES = InstallationPrefixes(current=PREFIX)


def new_name() -> str:
    """Return an unused venue client order id of this installation."""
    return f"{PREFIX}-{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class FixedInstallation:
    """Installation with the prefix `test`."""

    async def prefixes(self) -> InstallationPrefixes:
        return PREFIXES
