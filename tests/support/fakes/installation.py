"""An installation whose prefix a test knows."""

from dataclasses import dataclass
from uuid import uuid4

from domain.model.order_identity import InstallationPrefixes

PREFIX = "test"
PREFIXES = InstallationPrefixes(current=PREFIX)


def new_name() -> str:
    """A venue client order id of this installation that no order has yet."""
    return f"{PREFIX}-{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class FixedInstallation:
    """Installation with the prefix `test`."""

    async def prefixes(self) -> InstallationPrefixes:
        return PREFIXES
