"""The venue: where it is, the keys to it, and the simulated exchange's own settings."""

from pydantic import Field, SecretStr, field_validator

from runtime.settings.addresses import exchange_address, proxy_address
from runtime.settings.group import Count, Seconds, SettingsGroup

REST_SCHEMES = ("http", "https")
STREAM_SCHEMES = ("ws", "wss")


class VenueSettings(SettingsGroup):
    """Addresses, keys and connections of the venue."""

    exchange_url: str = Field("http://127.0.0.1:8001", description="REST address of the exchange, without /v2")
    exchange_stream_url: str = Field("ws://127.0.0.1:8001/stream", description="Its execution stream")
    exchange_key: SecretStr = Field(SecretStr("simulator"), description="Key id at the exchange")
    exchange_secret: SecretStr = Field(SecretStr("simulator"), description="Secret at the exchange")
    exchange_proxy: SecretStr | None = Field(
        None,
        description="http://[user:password@]host:port of the proxy through which the exchange is reached (CONNECT)",
    )
    exchange_ca_file: str | None = Field(
        None, description="File with the authorities (PEM) that vouch for the exchange, in place of this machine's"
    )
    exchange_port: int = Field(8001, ge=0, le=65535, description="Port of the simulated exchange")
    exchange_journal_file: str | None = Field(None, description="Simulated exchange: where its book outlives a restart")
    exchange_connect_timeout_seconds: Seconds = 2.0
    exchange_connections_max: Count = 200

    @field_validator("exchange_url")
    @classmethod
    def _is_a_rest_address(cls, value: str) -> str:
        """Refuse an address to which orders could never be sent, before any order is stored."""
        return exchange_address(value, schemes=REST_SCHEMES)

    @field_validator("exchange_stream_url")
    @classmethod
    def _is_a_stream_address(cls, value: str) -> str:
        return exchange_address(value, schemes=STREAM_SCHEMES)

    @field_validator("exchange_proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(proxy_address(value.get_secret_value()))
