"""The key and the secret of the account, required of every request under /v2 and of every control."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.simulator.refusals import Code, refusal

KEY_HEADER = "APCA-API-KEY-ID"
SECRET_HEADER = "APCA-API-SECRET-KEY"  # noqa: S105  # The name of a header.


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueKeys:
    """The key id and the secret; the defaults are those of a simulator without data to protect."""

    key: str = "simulator"
    secret: str = "simulator"  # noqa: S105  # The documented default.

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that a request must carry."""
        return {KEY_HEADER: self.key, SECRET_HEADER: self.secret}

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise VenueRefusalError (401) unless the headers carry this key and this secret."""
        if headers.get(KEY_HEADER) != self.key or headers.get(SECRET_HEADER) != self.secret:
            raise refusal(Code.UNAUTHORIZED, "request is not authorized")
