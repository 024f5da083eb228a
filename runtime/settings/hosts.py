"""The place of an address's host by its text: on this machine, in a private network, or anywhere. Pure.

No name is looked up: an answer could differ from the one that the driver gets a moment later, and a start must not wait
for a resolver.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import inet_aton
from urllib.parse import parse_qs, unquote, urlsplit

from db.address import read_address

LOOPBACK_DOMAIN = "localhost"
"""RFC 6761, section 6.3."""
PRIVATE_DOMAINS = ("local", "internal", "home.arpa")
"""Never delegated in the public DNS: RFC 6762, section 3; ICANN resolution 2024.07.29.06; RFC 8375."""


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine: a loopback address, `localhost`, or a name under it."""
    address = _ip_address(host)
    return address.is_loopback if address is not None else _is_under(host, LOOPBACK_DOMAIN)


def is_private(host: str) -> bool:
    """Return whether the host is this machine or in a private network.

    A name without a dot is one of a container network or of a file of hosts. Names with dots are private only under a
    domain that the public DNS never has.
    """
    address = _ip_address(host)
    if address is not None:
        return not address.is_global
    # Python's resolver treats other full stops as a dot (RFC 3490, section 3.1).
    return (host.isascii() and "." not in host.rstrip(".")) or any(
        _is_under(host, domain) for domain in (LOOPBACK_DOMAIN, *PRIVATE_DOMAINS)
    )


def url_host(url: str) -> str:
    """Return the host of an http or ws URL, in lower case and without brackets."""
    return urlsplit(url).hostname or ""


def is_plain_redis(url: str) -> bool:
    """Return whether Redis is reached without TLS at an address that is not private."""
    parts = urlsplit(url)
    # As redis-py reads it: `host` of the query, the first one, decoded again, counts when the URL itself has none.
    host = unquote(parts.hostname or parse_qs(parts.query).get("host", [LOOPBACK_DOMAIN])[0])
    return parts.scheme == "redis" and not is_private(host)


def is_plain_postgres(url: str, environment: Mapping[str, str]) -> bool:
    """Return whether PostgreSQL may be reached without TLS at an address that is not private.

    asyncpg falls back to a plain connection unless `sslmode` forbids it. Values missing in the URL are read from
    PGHOST, PGSSLMODE and a service file; that file is not read here, so its hosts count as public.
    """
    address = read_address(url, environment)
    if address.encrypts:
        return False
    if not address.hosts:
        return "service" in address.options or bool(environment.get("PGSERVICE"))
    return not all(host.name.startswith("/") or is_private(host.name) for host in address.hosts)


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address in the text, or None for a name. Resolvers also accept `127.1` and one decimal number."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return IPv4Address(inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_under(host: str, domain: str) -> bool:
    return f".{host.rstrip('.').lower()}".endswith(f".{domain}")
