"""PostgreSQL: its address, its time-outs, and what is cached of it."""

from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator

from db.address import read_address
from db.connector import STATEMENT_CACHE_STATEMENTS
from db.engine import CONNECTIONS_MIN
from db.roles import Role
from db.session_limits import SessionLimits
from domain.model.limits import ORDERS_PER_SECOND_MAX
from domain.model.order_identity import is_installation_prefix
from runtime.settings.group import Count, Seconds, SettingsGroup

ROLE_PASSWORD = "Password that `migrate` gives to this role; unset: it stays as it is"  # noqa: S105 - a description


class DatabaseSettings(SettingsGroup):
    """Connections, batches, caches, and the pre-trade limits that the database enforces."""

    database_url: SecretStr | None = Field(None, description="PostgreSQL: postgresql://user:password@host:port/name")
    migrate_database_url: SecretStr | None = Field(
        None, description="As whom `migrate` connects: makes roles and grants, owns the tables; unset: DATABASE_URL"
    )
    database_role_prefix: str | None = Field(
        None, description="Begins the names of the roles, PREFIX_api and so on; unset: the name of the database"
    )
    database_owner_password: SecretStr | None = Field(None, description=ROLE_PASSWORD)
    database_api_password: SecretStr | None = Field(None, description=ROLE_PASSWORD)
    database_worker_password: SecretStr | None = Field(None, description=ROLE_PASSWORD)
    database_ingest_password: SecretStr | None = Field(None, description=ROLE_PASSWORD)
    database_operator_password: SecretStr | None = Field(None, description=ROLE_PASSWORD)
    installation_prefix: str | None = Field(
        None, description="Prefix of the ids of this installation's orders at the exchange; stored in the database"
    )
    database_pool_connections_max: int = Field(
        10, ge=CONNECTIONS_MIN, description="Half of them are for statements that SQLAlchemy puts together"
    )
    database_connect_timeout_seconds: Seconds = Field(
        1.0, description="How long one, or all of several, servers may take"
    )
    database_statement_cache: int = Field(
        STATEMENT_CACHE_STATEMENTS,
        ge=0,
        description="Statements that stay prepared in a connection; 0: none, as PgBouncer before 1.21 needs it",
    )
    database_statement_timeout_seconds: Seconds = 5.0
    database_call_timeout_seconds: Seconds = Field(1.8, description="How long a call may take before Unavailable")
    database_lock_timeout_seconds: Seconds = 1.5
    accept_batch_orders_max: Count = 200
    accept_waiting_orders_max: Count = Field(10_000, description="Requests that may wait to be stored")
    instrument_cache_seconds: Seconds = 5.0
    orders_per_second_max: int = Field(
        0,
        ge=0,
        le=ORDERS_PER_SECOND_MAX,
        description="Orders of an account whose limits name no rate; 0: any number. The same in every API process",
    )
    limits_cache_seconds: Seconds = Field(1.0, description="How long limits and last prices are cached")
    prices_saved_every_seconds: Seconds = Field(0.5, description="How often the prices of new executions are saved")

    @field_validator("database_url", "migrate_database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what libpq would refuse, before anything connects."""
        if value is not None:
            read_address(value.get_secret_value())
        return value

    @field_validator(*(f"database_{role}_password" for role in Role))
    @classmethod
    def _is_printable_ascii(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not (value.get_secret_value().isascii() and value.get_secret_value().isprintable()):
            raise ValueError("use printable ASCII")
        return value

    @field_validator("installation_prefix")
    @classmethod
    def _can_begin_an_id(cls, value: str | None) -> str | None:
        if value is not None and not is_installation_prefix(value):
            raise ValueError("use 2 to 15 characters of a-z 0-9, the first one a letter")
        return value

    @property
    def role_passwords(self) -> Mapping[Role, str]:
        """Return the passwords that are set for roles."""
        given = {role: getattr(self, f"database_{role}_password") for role in Role}
        return {role: password.get_secret_value() for role, password in given.items() if password is not None}

    @property
    def session_limits(self) -> SessionLimits:
        """Return the time-outs of sessions."""
        return SessionLimits(
            statement_timeout_seconds=self.database_statement_timeout_seconds,
            lock_timeout_seconds=self.database_lock_timeout_seconds,
        )

    @property
    def database_address(self) -> str:
        """DATABASE_URL, its password included. Call `require` first."""
        assert self.database_url is not None  # noqa: S101 - what only a bug could break
        return self.database_url.get_secret_value()
