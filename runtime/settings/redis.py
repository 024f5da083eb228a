"""Redis: its address, and the bounds of what is published and followed through it."""

from pydantic import Field, SecretStr, field_validator

from runtime.settings.addresses import server_url
from runtime.settings.group import Count, Seconds, SettingsGroup

SCHEMES = ("redis", "rediss", "unix")


class RedisSettings(SettingsGroup):
    """Wake-ups of workers, and changes on their way to subscribers."""

    redis_url: SecretStr | None = Field(None, description="Redis or Valkey: redis://:password@host:port/0")
    wake_up_timeout_seconds: Seconds = Field(0.5, description="How long Redis may take before a wake-up is dropped")
    publish_timeout_seconds: Seconds = 1.0
    publish_waiting_changes_max: Count = 50_000
    positions_compared_every_seconds: Seconds = 5.0
    subscriber_buffer_changes_max: Count = 256

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        return server_url(value, schemes=SCHEMES)

    @property
    def redis_address(self) -> str:
        """REDIS_URL, its password included. Call `require` first."""
        assert self.redis_url is not None  # noqa: S101 - what only a bug could break
        return self.redis_url.get_secret_value()
