"""The origins of pages that may call from another address, over HTTP and over the websocket alike."""

from collections.abc import Collection

ANY_PORT = ":*"
SHOWN_MAX_CHARACTERS = 200
"""How much of an origin is logged and repeated: it is a header that anybody may send."""


class AllowedOrigins:
    """The origins of `ALLOWED_ORIGINS`: exact ones, hosts with any port (`http://localhost:*`), or all (`*`)."""

    def __init__(self, origins: Collection[str]) -> None:
        self._any = "*" in origins
        self._exact = frozenset(origin for origin in origins if not origin.endswith(ANY_PORT))
        self._hosts = frozenset(origin.removesuffix(ANY_PORT) for origin in origins if origin.endswith(ANY_PORT))

    def __bool__(self) -> bool:
        return self._any or bool(self._exact or self._hosts)

    def allow(self, origin: str) -> bool:
        """Return whether pages of the origin may call. `null` and what is no origin are allowed by `*` alone.

        Browsers send an origin in one form only (RFC 6454, section 6.2), that of the settings: nothing is parsed here.
        """
        host, _, port = origin.rpartition(":")
        return self._any or origin in self._exact or origin in self._hosts or (host in self._hosts and port.isdecimal())


def shown(origin: str) -> str:
    """Return the beginning of an origin, for a log line or a refusal."""
    return origin[:SHOWN_MAX_CHARACTERS]
