"""Refuses the controls to web pages: the key is public, and a browser can reach services of its machine.

No page uses the controls. So any header that a browser adds to a request is enough to refuse it; programs send none of
them. The rules are the Fetch standard's (https://fetch.spec.whatwg.org/#cors-safelisted-request-header) and those of
`Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/).
"""

from collections.abc import Mapping

from exchange.simulator.refusals import Code, refusal

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SIMPLE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""What a page may send to another site without asking it first."""


def refuse_pages(headers: Mapping[str, str], *, listening_host: str) -> None:
    """Raise VenueRefusalError (403) for a request that a web page may have made.

    A page whose host name resolves to this machine (DNS rebinding) is same-site for its browser, which then adds no
    header; but its Host is that name.
    """
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        raise refusal(Code.FORBIDDEN, "controls are not for web pages: the request comes from a browser")
    host = _host_name(headers.get("Host", ""))
    if listening_host in LOOPBACK_HOSTS and host not in LOOPBACK_HOSTS:
        raise refusal(Code.FORBIDDEN, f"controls are for this machine: Host must be one of {_listed(LOOPBACK_HOSTS)}")
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in SIMPLE_TYPES:
        raise refusal(Code.FORBIDDEN, f"send JSON with the header Content-Type: application/json, not {media_type}")


def _host_name(host: str) -> str:
    """Return the name of a Host header, without port and brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
