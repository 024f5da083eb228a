"""PostgreSQL: every adapter over one pool of connections."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from socket import gaierror

from db.account_limits import PostgresLimitBook
from db.account_reader import PostgresAccountReader
from db.account_seals import PostgresAccountSeals
from db.address_options import AddressError
from db.breaker_store import PostgresBreakerStore
from db.change_log import PostgresChangeLog
from db.database import Database
from db.dead_letters import PostgresDeadLetters
from db.due_times import PostgresDueTimes
from db.engine import open_database as open_pool
from db.installation import InstallationPrefixError, PostgresInstallation
from db.instrument_catalog import PostgresInstrumentCatalog
from db.instrument_prices import PostgresInstrumentPrices
from db.operator_actions import PostgresOperatorActions
from db.order_reader import PostgresOrderReader
from db.order_store import PostgresOrderStore
from db.privileges import require_privileges, wrong_role
from db.readiness import DatabaseNotReadyError, Trouble, require_ready
from db.resolutions import PostgresResolutions
from db.roles import Role
from db.stream_positions import PostgresLeadershipLease, PostgresStreamPositions
from db.token_revocations import PostgresTokenRevocations
from db.trading_halts import PostgresTradingHalts
from db.waiting_orders import PostgresWaitingOrders
from domain.model.errors import UnavailableError
from domain.services.price_tape import PriceTapeWriter
from exchange.alpaca.rest import AlpacaVenue
from runtime.observability.health import NotReadyError
from runtime.processes.crash_points import crashing
from runtime.processes.lifecycle import Process
from runtime.settings import SettingsError

ROLE_OF_PROCESS = {"api": Role.API, "worker": Role.WORKER, "ingest": Role.INGEST}
"""What runs all the time says at once that it has the wrong login. Commands try: a halt must not fail for a privilege
that it does not use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseResources:
    """Everything that is stored in PostgreSQL."""

    orders: PostgresOrderStore
    reader: PostgresOrderReader
    accounts: PostgresAccountReader
    changes: PostgresChangeLog
    catalog: PostgresInstrumentCatalog
    positions: PostgresStreamPositions
    leadership: PostgresLeadershipLease
    dead_letters: PostgresDeadLetters
    breaker: PostgresBreakerStore
    waiting: PostgresWaitingOrders
    due_times: PostgresDueTimes
    limit_book: PostgresLimitBook
    prices: PostgresInstrumentPrices
    tape: PriceTapeWriter
    halts: PostgresTradingHalts
    actions: PostgresOperatorActions
    seals: PostgresAccountSeals
    revocations: PostgresTokenRevocations
    resolutions: PostgresResolutions
    installation: PostgresInstallation
    database: Database
    role: Role | None

    async def check(self) -> None:
        """Raise NotReadyError when PostgreSQL does not answer, is not migrated, has another prefix, or is logged in to
        with a role that may not do what this process does."""
        try:
            await _require_usable(self.database, self.role)
            await self.installation.prefixes()
        except DatabaseNotReadyError as error:
            raise NotReadyError(error.trouble, str(error)) from error
        except InstallationPrefixError as error:
            raise NotReadyError(Trouble.OTHER_PREFIX, str(error)) from error

    async def require_prefix(self) -> None:
        """Raise SettingsError when INSTALLATION_PREFIX is not the stored prefix; while PostgreSQL is down, do nothing.

        Then the first order, or the first read of one, detects it.
        """
        try:
            with suppress(UnavailableError):
                await self.installation.prefixes()
        except InstallationPrefixError as error:
            raise SettingsError(str(error)) from error


@asynccontextmanager
async def open_database(process: Process, *, requests_only: bool = False) -> AsyncIterator[DatabaseResources]:
    """Open the database. It opens also while PostgreSQL is down: its calls raise UnavailableError then. With
    `requests_only` orders are stored and canceled, and nothing that the venue reports is written.

    Raises SettingsError when the host of DATABASE_URL is unknown or the login is refused, DatabaseNotReadyError when
    the tables are missing or too old, or when the process needs another role.
    """
    settings, role = process.settings, ROLE_OF_PROCESS.get(process.name)
    async with (
        _telling_wrong_role(role or Role.OPERATOR),
        open_pool(
            settings.database_address,
            application_name=f"fillwire {process.name} {os.getpid()}",  # Distinguishes processes of one kind.
            pool_max_connections=settings.database_pool_connections_max,
            connect_timeout_seconds=settings.database_connect_timeout_seconds,
            call_timeout_seconds=settings.database_call_timeout_seconds,
            statement_timeout_seconds=settings.database_statement_timeout_seconds,
            lock_timeout_seconds=settings.database_lock_timeout_seconds,
            statement_cache_statements=settings.database_statement_cache,
        ) as database,
    ):
        await _start_with(database, role, process)
        orders = PostgresOrderStore(
            database,
            venue=AlpacaVenue.name,
            telemetry=process.telemetry,
            insert_batch_max_orders=settings.accept_batch_orders_max,
            insert_queue_max_orders=settings.accept_waiting_orders_max,
            max_orders_per_second=settings.orders_per_second_max or None,
            requests_only=requests_only,
        )
        prices = PostgresInstrumentPrices(database, cache_seconds=settings.limits_cache_seconds)
        yield DatabaseResources(
            orders=crashing(orders, settings.crash_at),
            reader=PostgresOrderReader(database),
            accounts=PostgresAccountReader(database),
            changes=PostgresChangeLog(database),
            catalog=PostgresInstrumentCatalog(database, cache_seconds=settings.instrument_cache_seconds),
            positions=PostgresStreamPositions(database),
            leadership=PostgresLeadershipLease(database),
            dead_letters=PostgresDeadLetters(database),
            breaker=PostgresBreakerStore(database, AlpacaVenue.name),
            waiting=PostgresWaitingOrders(database),
            due_times=PostgresDueTimes(database, AlpacaVenue.name),
            limit_book=PostgresLimitBook(database, cache_seconds=settings.limits_cache_seconds),
            prices=prices,
            tape=PriceTapeWriter(
                prices, every_seconds=settings.prices_saved_every_seconds, telemetry=process.telemetry
            ),
            halts=PostgresTradingHalts(database),
            actions=PostgresOperatorActions(database),
            seals=PostgresAccountSeals(database),
            revocations=PostgresTokenRevocations(database),
            resolutions=PostgresResolutions(database),
            installation=PostgresInstallation(database, expected=settings.installation_prefix),
            database=database,
            role=role,
        )


@asynccontextmanager
async def _telling_wrong_role(role: Role) -> AsyncIterator[None]:
    """Raise DatabaseNotReadyError in place of a refusal of PostgreSQL that ends the process."""
    try:
        yield
    except Exception as error:
        if (reported := wrong_role(error, role)) is None:
            raise
        raise reported from error


async def _require_usable(database: Database, role: Role | None) -> None:
    await require_ready(database)
    if role is not None:
        await require_privileges(database, role)


async def _start_with(database: Database, role: Role | None, process: Process) -> None:
    """Raise what only a person can fix; what may pass by itself is an outage, in which the process starts and waits.
    So is a wrong role: the grants of a migration that still runs may be missing."""
    try:
        await _require_usable(database, role)
    except DatabaseNotReadyError as error:
        if error.trouble is Trouble.NOT_MIGRATED:
            raise
        if error.trouble in {Trouble.LOGIN_REFUSED, Trouble.REFUSED} or isinstance(error.__cause__, gaierror):
            raise SettingsError(str(error)) from error
        process.telemetry.warning("database_not_ready", error=str(error), next="starts anyway, and waits for it")
    except AddressError as error:
        raise SettingsError(f"DATABASE_URL {error}") from error
