"""Connects to the servers of an address: one after another, each within its share of the time.

asyncpg has one time-out for all servers together, so that one that drops packets would use up the time of all (its
issue 1155).
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from db.address import Address, Host
from db.address_options import AddressError
from db.failures import ServerRefusalError, is_unavailability

TLS_REFUSED = "rejected SSL upgrade"
"""What asyncpg says of a server without TLS; it has no class of its own for that."""
STATEMENT_CACHE_STATEMENTS = 100
_OTHER_SERVER_MAY_DO = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
"""After these the next server is tried, as libpq does; a refused login is the same everywhere."""
_SOCKET_OPTIONS: Mapping[str, str] = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}


class Connector:
    """Makes connections to one address. The server that was the last good one is tried first."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_seconds: float,
        application_name: str | None = None,
        first_statement: str | None = None,
        statement_cache_statements: int = STATEMENT_CACHE_STATEMENTS,
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        # Poolers refuse other settings at the start of a session, or drop them silently.
        self._settings = {} if application_name is None else {"application_name": application_name}
        self._first_statement = first_statement
        self.statement_cache_statements = statement_cache_statements
        self._hosts = list(address.hosts)
        if address.options.get("load_balance_hosts") == "random":
            random.shuffle(self._hosts)
        self._good: Host | None = None
        self._tls: ssl.SSLContext | None = None

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a new connection. Raise AddressError, OSError, or an error of asyncpg."""
        attempts = list(self._attempts())
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self._timeout_seconds
        failures: list[tuple[Host | None, Exception]] = []
        for index, (host, attribute) in enumerate(attempts):
            share_seconds = (ends_at - clock()) / (len(attempts) - index)
            try:
                connection = await self._connect_to(host, attribute, share_seconds)
            except _OTHER_SERVER_MAY_DO as error:
                failures.append((host, error))
            else:
                self._good = host
                return connection
        raise _failure(failures)

    def _attempts(self) -> Iterator[tuple[Host | None, str | None]]:
        """Yield the servers in the order in which to try them, with the required role of each."""
        if not self._hosts:
            yield None, None
            return
        hosts = sorted(self._hosts, key=lambda host: host != self._good)
        if self._address.options.get("target_session_attrs") != "prefer-standby":
            yield from ((host, None) for host in hosts)
            return
        # The driver would be content with the first server, which it does not know to be one of several.
        yield from ((host, "standby") for host in hosts)
        yield from ((host, "any") for host in hosts)

    async def _connect_to(
        self, host: Host | None, attribute: str | None, share_seconds: float
    ) -> "asyncpg.Connection[asyncpg.Record]":
        limit_seconds = self._address.connect_timeout_seconds
        timeout_seconds = share_seconds if limit_seconds is None else min(share_seconds, limit_seconds)
        async with asyncio.timeout(max(0.0, timeout_seconds)):
            connection = await self._open(host, attribute)
            try:
                self._keep_alive(connection)
                if self._first_statement is not None:
                    await connection.execute(self._first_statement)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _open(self, host: Host | None, attribute: str | None) -> "asyncpg.Connection[asyncpg.Record]":
        name, port = (None, None) if host is None else (host.name, host.port)
        try:
            return await asyncpg.connect(
                self._address.url,
                host=name,
                port=port,
                ssl=self._system_tls(),
                target_session_attrs=attribute,  # type: ignore[arg-type] # a text serves as well
                server_settings=self._settings,
                statement_cache_size=self.statement_cache_statements,
            )
        except asyncpg.ClientConfigurationError as error:
            # Of the environment, a service file or a certificate: the options of the URL were checked.
            raise AddressError(f"or a variable PG… of libpq cannot be used: {error}") from error
        except asyncpg.PostgresError as error:
            if is_unavailability(error) and not isinstance(error, asyncpg.ProtocolViolationError):
                raise
            # PgBouncer refuses an option as a violation of the protocol.
            raise ServerRefusalError(str(error), sqlstate=error.sqlstate or "") from error
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLEOFError | ssl.SSLSyscallError | ssl.SSLZeroReturnError):
                raise  # It ended in the middle of the handshake.
            raise ServerRefusalError(f"TLS: {error}", sqlstate="") from error
        except ConnectionError as error:
            if TLS_REFUSED not in str(error):
                raise
            raise ServerRefusalError("it has no TLS, which the address requires", sqlstate="") from error

    def _system_tls(self) -> ssl.SSLContext | None:
        """Return how the server's certificate is checked by this machine's authorities; None: the driver does it."""
        if self._tls is None and self._address.trusts_system:
            self._tls = system_tls(self._address.options)
        return self._tls

    def _keep_alive(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        options = self._address.options
        wanted = {name: int(options[name]) for name in _SOCKET_OPTIONS if int(options.get(name, "0")) > 0}
        if not wanted and "keepalives" not in options:
            return
        transport: asyncio.Transport = getattr(connection, "_transport")  # noqa: B009 - no public name leads to it
        transport_socket = transport.get_extra_info("socket")
        if transport_socket.family == socket.AF_UNIX:
            return
        # uvloop's own object has no setsockopt. A duplicate is the same socket.
        with socket.fromfd(transport_socket.fileno(), transport_socket.family, socket.SOCK_STREAM) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(options.get("keepalives", "1")))
            for name, value in wanted.items():
                number = getattr(socket, _SOCKET_OPTIONS[name], None)
                if number is not None:  # Not every system has every one.
                    duplicate.setsockopt(socket.IPPROTO_TCP, number, value)


def system_tls(options: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that trusts this machine's authorities, with the other TLS options.

    Raise OSError for a file that cannot be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    for option, attribute in (("min", "minimum_version"), ("max", "maximum_version")):
        if version := options.get(f"ssl_{option}_protocol_version"):
            setattr(context, attribute, ssl.TLSVersion[version.replace(".", "_")])
    if "sslcert" in options:
        context.load_cert_chain(
            options["sslcert"], options.get("sslkey"), password=lambda: options.get("sslpassword", "")
        )
    if "sslcrl" in options:
        context.load_verify_locations(cafile=options["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


def _failure(failures: Sequence[tuple[Host | None, Exception]]) -> Exception:
    """Return why there is no connection: of several servers each with its reason."""
    if len(failures) == 1:
        return failures[0][1]
    reasons = (f"{host.name}: {str(error) or type(error).__name__}" for host, error in failures if host is not None)
    return ConnectionError("; ".join(reasons))
