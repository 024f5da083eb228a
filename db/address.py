"""Parses the address of a database like libpq, for a driver that supports half of it."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

from db.address_options import (
    DRIVER_OPTIONS,
    ENCRYPTING_MODES,
    SYSTEM,
    VERIFY_FULL,
    VERIFYING_MODES,
    AddressError,
    check_values,
    read_options,
)

SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
"""The last one is how SQLAlchemy writes it."""
DEFAULT_PORT = 5432

_URL = re.compile(
    r"(?P<scheme>[A-Za-z+]+)://((?P<login>[^/?#@]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#]*)?(\?(?P<query>[^#]*))?",
    re.ASCII,
)
_HOST = re.compile(r"(\[(?P<ipv6>[^\]]+)\]|(?P<name>[^:\[\]]+))(:(?P<port>[0-9]*))?")


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a name, an IP address without brackets, or the folder of a Unix socket."""

    name: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of a database, on one or on several servers."""

    url: str
    """For the driver: without hosts, and with those options only that it knows."""
    hosts: Sequence[Host]
    """In order of preference; none: where the driver finds them, in a service file or in the usual folders."""
    options: Mapping[str, str]
    """All of them, with what the environment says about TLS."""

    @property
    def connect_timeout_seconds(self) -> float | None:
        """How long to wait for one server; None: as long as there is time."""
        seconds = int(self.options.get("connect_timeout", "0"))
        return float(seconds) if seconds > 0 else None

    @property
    def encrypts(self) -> bool:
        """Return whether the driver never connects without TLS."""
        return self.options.get("sslmode") in ENCRYPTING_MODES

    @property
    def trusts_system(self) -> bool:
        """Whether the certificate authorities of this machine vouch for the server."""
        return self.options.get("sslrootcert") == SYSTEM


def read_address(url: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Return the address. Raise AddressError.

    Values missing in the URL are read from the same environment variables as libpq's.
    """
    parts = _URL.fullmatch(url)
    if parts is None or parts["scheme"].lower() not in SCHEMES:
        raise AddressError(
            f"must begin with {SCHEMES[0]}:// and hold / ? # @ in a user or a password only as %2F %3F %23 %40"
        )
    options = read_options(parts["query"] or "")
    options |= _tls_options(options, environment)
    check_values(options)
    passed = {name: options[name] for name in DRIVER_OPTIONS if name in options}
    if passed.get("sslrootcert") == SYSTEM:
        del passed["sslrootcert"]
    login = "" if parts["login"] is None else f"{parts['login']}@"
    return Address(
        url=f"{SCHEMES[0]}://{login}{parts['path'] or ''}?{urlencode(passed, quote_via=quote)}".rstrip("?"),
        hosts=_read_hosts(parts["hosts"], options, environment),
        options=options,
    )


def _tls_options(options: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return how the connection is secured."""
    mode = options.get("sslmode") or environment.get("PGSSLMODE")
    root = options.get("sslrootcert") or environment.get("PGSSLROOTCERT")
    if "require" in {options.get("channel_binding"), environment.get("PGCHANNELBINDING")}:
        # The driver does not support channel binding. The certificate also proves that the connection is not
        # intercepted.
        if mode in {"disable", "allow", "prefer"}:
            raise AddressError("requires channel binding, and with that sslmode=require or sslmode=verify-full")
        mode = VERIFY_FULL
    if root == SYSTEM and mode not in {None, VERIFY_FULL}:
        raise AddressError("has sslrootcert=system, with which only sslmode=verify-full is safe")
    if root == SYSTEM:
        mode = VERIFY_FULL
    if root is None and mode in VERIFYING_MODES and not _has_own_root():
        if mode != VERIFY_FULL:
            raise AddressError("has sslmode=verify-ca, which needs sslrootcert with a file; or use sslmode=verify-full")
        root = SYSTEM
    return {name: value for name, value in (("sslmode", mode), ("sslrootcert", root)) if value}


def _has_own_root() -> bool:
    """Return whether libpq's own file of certificates is there."""
    try:
        return (Path.home() / ".postgresql" / "root.crt").is_file()
    except (OSError, RuntimeError):
        return False


def _read_hosts(listed: str, options: Mapping[str, str], environment: Mapping[str, str]) -> Sequence[Host]:
    if not listed:
        # A service file may name hosts, which only the driver reads.
        elsewhere = options.get("host") or ("" if "service" in options else environment.get("PGHOST", ""))
        listed = quote(elsewhere, safe=",:[]")
    if not listed:
        return ()
    names = listed.split(",")
    ports = (options.get("port") or environment.get("PGPORT") or str(DEFAULT_PORT)).split(",")
    if len(ports) not in {1, len(names)}:
        raise AddressError("must name as many ports as hosts, or one port")
    return [_read_host(name, ports[index % len(ports)]) for index, name in enumerate(names)]


def _read_host(text: str, default_port: str) -> Host:
    parts = _HOST.fullmatch(f"[{text}]" if _is_ipv6(text) else text)
    if parts is None:
        raise _wrong_host()
    port = parts["port"] or default_port
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise _wrong_host()
    return Host(unquote(parts["ipv6"] or parts["name"]), int(port))


def _wrong_host() -> AddressError:
    return AddressError(
        f"must begin with {SCHEMES[0]}:// and hosts, each a name, an IP address (IPv6 in brackets) or a folder (%2F "
        "is a /), its port a number from 1 to 65535"
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
