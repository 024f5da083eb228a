"""Whose tokens are accepted, and which front ends may send them."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from domain.model.accounts import ACCOUNT_PATTERN, AccountRule
from runtime.settings.addresses import origin
from runtime.settings.group import Count, SettingsGroup

TOKEN_SECRET_MIN_BYTES = 32
"""RFC 7518, section 3.2, for HS256."""


class AuthSettings(SettingsGroup):
    """Keys and required claims of tokens, and the allowed origins."""

    token_secret: SecretStr | None = Field(None, description="HS256 secret of the tokens, 32 bytes or more")
    token_jwks_file: str | None = Field(None, description="File with the JWKS of the tokens' issuer")
    token_jwks_url: str | None = Field(None, description="Address of the JWKS of the tokens' issuer")
    token_audience: str | None = Field(None, description="Required `aud` of a token, when set")
    token_issuer: str | None = Field(None, description="Required `iss` of a token, when set")
    token_account_claim: str = Field("sub", description="Claim that names a token's account, or a list of its accounts")
    account_pattern: str = Field(
        ACCOUNT_PATTERN, description="Regular expression of an account's id; accounts with orders keep working"
    )
    verified_tokens_max: Count = Field(10_000, description="Valid tokens that one API process remembers for a minute")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of front ends on other addresses, separated by commas"
    )
    local_token_file: str | None = Field(None, description="Development: the token that GraphiQL is prefilled with")

    @field_validator("account_pattern")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        return AccountRule(pattern=value).pattern

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return them in a browser's form: HTTP compares them by letter, the websocket by meaning."""
        return tuple(origin(text) for text in value)

    @model_validator(mode="after")
    def _token_secret_is_long_enough(self) -> Self:
        if (
            self.token_secret is not None
            and len(self.token_secret.get_secret_value().encode()) < TOKEN_SECRET_MIN_BYTES
        ):
            raise ValueError("TOKEN_SECRET must be 32 bytes or longer (RFC 7518, section 3.2)")
        return self
