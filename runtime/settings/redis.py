"""Redis: its address, the key of what is published, and the bounds of what is published and followed through it."""

from pydantic import Field, SecretStr, field_validator

from broadcast.envelope import KEY_MIN_BYTES, KEYS_MAX, MessageSigner
from broadcast.redis_client import check_redis_url
from runtime.settings.group import Count, Seconds, SettingsGroup


class RedisSettings(SettingsGroup):
    """Wake-ups of workers, and changes sent to subscribers."""

    redis_url: SecretStr | None = Field(
        None, description="Redis or Valkey: redis://:password@host:port/0, or unix:///path?db=0"
    )
    broadcast_key: SecretStr | None = Field(
        None,
        description=(
            "Signs what is published to the API processes and which process sends an alert, 32 bytes or more, "
            "the same in every process. "
            "Two, separated by a comma, while it is changed: the first signs, both are accepted"
        ),
    )
    wake_up_timeout_seconds: Seconds = Field(0.5, description="How long Redis may take before a wake-up is dropped")
    publish_timeout_seconds: Seconds = 1.0
    publish_waiting_changes_max: Count = 50_000
    positions_compared_every_seconds: Seconds = 5.0
    subscriber_buffer_changes_max: Count = 256

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what the client could not use, before it does."""
        if value is not None:
            check_redis_url(value.get_secret_value())
        return value

    @field_validator("broadcast_key")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        keys = () if value is None else _keys(value)
        if len(keys) > KEYS_MAX:
            raise ValueError("at most two keys are valid at once, separated by a comma")
        if any(len(key.encode()) < KEY_MIN_BYTES for key in keys):
            raise ValueError(f"each key must be {KEY_MIN_BYTES} bytes or longer; make one with: openssl rand -hex 32")
        return value

    @property
    def broadcast_keys(self) -> tuple[str, ...]:
        """The keys of BROADCAST_KEY; the first one signs. None when it is not set."""
        return () if self.broadcast_key is None else _keys(self.broadcast_key)

    @property
    def message_signer(self) -> MessageSigner:
        """The signer with the keys of BROADCAST_KEY, which must be set."""
        return MessageSigner([key.encode() for key in self.broadcast_keys])

    @property
    def redis_address(self) -> str:
        """REDIS_URL, its password included. Call `require` first."""
        assert self.redis_url is not None  # noqa: S101 - what only a bug could break
        return self.redis_url.get_secret_value()


def _keys(value: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in value.get_secret_value().split(","))
