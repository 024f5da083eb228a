"""The options of a database's address: those of libpq (PostgreSQL 18, section 32.1.2), and how each is handled here.

An option unknown to libpq is refused with a message, as libpq would: asyncpg sends it to the server as a setting, and
the server's error names no option.
"""

import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

SYSTEM = "system"
"""The value of `sslrootcert` that means the certificate authorities of this machine."""
VERIFY_FULL = "verify-full"
VERIFYING_MODES = ("verify-ca", VERIFY_FULL)
ENCRYPTING_MODES = ("require", *VERIFYING_MODES)
"""The values of `sslmode` with which the driver never goes on without TLS."""

_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_ANY: Sequence[str] = ()
DRIVER_OPTIONS: Mapping[str, Sequence[str]] = {
    "dbname": _ANY,
    "database": _ANY,
    "user": _ANY,
    "password": _ANY,
    "passfile": _ANY,
    "service": _ANY,
    "options": _ANY,
    "krbsrvname": _ANY,
    "gsslib": ("gssapi", "sspi"),
    "sslmode": ("disable", "allow", "prefer", *ENCRYPTING_MODES),
    "sslnegotiation": ("postgres", "direct"),
    "sslcert": _ANY,
    "sslkey": _ANY,
    "sslpassword": _ANY,
    "sslrootcert": _ANY,
    "sslcrl": _ANY,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""What the driver takes, with the values that it knows."""
_OUR_OPTIONS: Mapping[str, Sequence[str]] = {
    "host": _ANY,
    "port": _ANY,
    "connect_timeout": _ANY,
    "keepalives": ("0", "1"),
    "keepalives_idle": _ANY,
    "keepalives_interval": _ANY,
    "keepalives_count": _ANY,
    "tcp_user_timeout": _ANY,
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
}
"""What is done here, since the driver does not."""
_IDLE_OPTIONS: Mapping[str, Sequence[str]] = {
    "application_name": _ANY,
    "fallback_application_name": _ANY,
    "client_encoding": ("auto", "UTF8", "utf8", "UTF-8", "utf-8"),
    "gssencmode": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "sslcompression": ("0",),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
    "min_protocol_version": ("3.0",),
    "max_protocol_version": ("3.0", "3.2", "latest"),
}
"""What asks for what is the case anyway, with those values that do. Processes name themselves."""
_KNOWN: Mapping[str, Sequence[str]] = {**DRIVER_OPTIONS, **_OUR_OPTIONS, **_IDLE_OPTIONS}
_UNABLE = (
    *("hostaddr", "require_auth", "requirepeer", "requiressl", "replication", "sslcrldir", "sslkeylogfile"),
    *("scram_client_key", "scram_server_key", "servicefile", "oauth_issuer", "oauth_client_id", "oauth_client_secret"),
)
"""What libpq knows and neither the driver nor this code does."""
_INSTEAD: Mapping[str, str] = {
    "pgbouncer": "leave it out, and set DATABASE_STATEMENT_CACHE=0 for a PgBouncer before 1.21",
    "prepared_statement_cache_size": "set DATABASE_STATEMENT_CACHE",
    "statement_cache_size": "set DATABASE_STATEMENT_CACHE",
    "schema": "write options=-csearch_path%3DNAME",
    "search_path": "write options=-csearch_path%3DNAME",
    "ssl": "write sslmode=require or sslmode=verify-full",
    "sslaccept": "write sslmode=require or sslmode=verify-full",
    "pool_mode": "leave it out",
    "connection_limit": "set DATABASE_POOL_CONNECTIONS_MAX",
    "pool_timeout": "set DATABASE_CALL_TIMEOUT_SECONDS",
}
"""What providers and other programs write, with what to do about it."""
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
_WHOLE_NUMBERS = (
    *("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


class AddressError(ValueError):
    """The address cannot be used. The message has the fix, and contains nothing of the address except names of
    options.
    """


def read_options(query: str) -> dict[str, str]:
    """Return the options of a URL's query, each known to libpq. Raise AddressError."""
    try:
        # Unlike in a form, a plus is a plus.
        pairs = parse_qsl(query.replace("+", "%2B"), strict_parsing=bool(query), keep_blank_values=True)
    except ValueError:
        raise AddressError("its options are not written as name=value&name=value") from None
    options = {name: value for name, value in pairs if value}
    for name in options.keys() - _KNOWN.keys():
        shown = name if _NAME.fullmatch(name) else "whose name is no word"
        if name in _UNABLE:
            raise AddressError(f"has the option {shown}, which Fillwire's driver cannot fulfil: leave it out")
        raise AddressError(
            f"has the option {shown}, which libpq does not know either: {_INSTEAD.get(name, 'leave it out')}"
        )
    return options


def check_values(options: Mapping[str, str]) -> None:
    """Raise AddressError for a value that cannot be fulfilled."""
    for name, value in options.items():
        if _KNOWN[name] and value not in _KNOWN[name]:
            raise AddressError(f"has an option {name} that is not {' or '.join(_KNOWN[name])}")
        if name in _WHOLE_NUMBERS and _WHOLE_NUMBER.fullmatch(value) is None:
            raise AddressError(f"has an option {name} that is no whole number")
        if name in _FILES and (name, value) != ("sslrootcert", SYSTEM) and not os.access(value, os.R_OK):
            raise AddressError(f"has an option {name} that names no file which this process can read")
