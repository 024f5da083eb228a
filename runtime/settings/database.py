"""PostgreSQL: its address, its time-outs, and what is cached of it."""

from pydantic import Field, SecretStr, field_validator

from domain.model.limits import ORDERS_PER_SECOND_MAX
from domain.model.order_identity import is_installation_prefix
from runtime.settings.addresses import server_url
from runtime.settings.group import Count, Seconds, SettingsGroup

SCHEMES = ("postgresql", "postgres")


class DatabaseSettings(SettingsGroup):
    """Connections, batches, caches, and the pre-trade limits that the database enforces."""

    database_url: SecretStr | None = Field(None, description="PostgreSQL: postgresql://user:password@host:port/name")
    installation_prefix: str | None = Field(
        None, description="Begins the ids of this installation's orders at the exchange; kept in the database"
    )
    database_pool_connections_max: Count = 10
    database_connect_timeout_seconds: Seconds = 1.0
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

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        return server_url(value, schemes=SCHEMES)

    @field_validator("installation_prefix")
    @classmethod
    def _can_begin_an_id(cls, value: str | None) -> str | None:
        if value is not None and not is_installation_prefix(value):
            raise ValueError("use 2 to 15 characters of a-z 0-9, the first one a letter")
        return value

    @property
    def database_address(self) -> str:
        """DATABASE_URL, its password included. Call `require` first."""
        assert self.database_url is not None  # noqa: S101 - what only a bug could break
        return self.database_url.get_secret_value()
