"""Whose tokens are accepted, and which front ends may send them."""

import re
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from domain.model.accounts import ACCOUNT_PATTERN, AccountRule
from runtime.settings.addresses import origin, web_address
from runtime.settings.group import Count, Seconds, SettingsGroup

TOKEN_SECRET_MIN_BYTES = 32
"""RFC 7518, section 3.2, for HS256."""
TOKEN_LIFETIME_LIMIT_SECONDS = 3_155_760_000
"""A hundred years: moments that are further away cannot be counted with."""

NO_TOKEN_KEY = (
    "TOKEN_SECRET, TOKEN_JWKS_FILE, TOKEN_JWKS_URL or TOKEN_ISSUER must be set: without one no token can be verified."  # noqa: S105 - a sentence
)

# A token of RFC 9110, section 5.6.2; its * alone is any header.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+|\*", re.ASCII)


class AuthSettings(SettingsGroup):
    """Keys and required claims of tokens, and the allowed origins."""

    token_secret: SecretStr | None = Field(None, description="HS256 secret of the tokens, 32 bytes or more")
    token_secret_previous: SecretStr | None = Field(
        None, description="Secret that is accepted in addition to TOKEN_SECRET, while there are tokens of both"
    )
    token_jwks_file: str | None = Field(None, description="File with the JWKS of the tokens' issuer")
    token_jwks_url: str | None = Field(None, description="Address of the JWKS of the tokens' issuer")
    token_jwks_cache_file: str | None = Field(
        None, description="File that stores the issuer's last usable keys, for a start while the issuer is unreachable"
    )
    token_jwks_refresh_seconds: Seconds = Field(
        60, description="Pause between two reads of the issuer's keys; unknown keys cause one more at most"
    )
    token_audience: str | None = Field(None, description="Required `aud` of a token; required with an issuer's keys")
    token_issuer: str | None = Field(
        None,
        description="Required `iss` of a token; without secret and JWKS also where the keys are found (OpenID Connect)",
    )
    token_max_lifetime_seconds: Annotated[float, Field(gt=0, le=TOKEN_LIFETIME_LIMIT_SECONDS)] = Field(
        86_400, description="Longest time from the `iat` of a token, or from its first sight without one, to its `exp`"
    )
    token_issue_time_required: bool = Field(False, description="Whether a token without `iat` is refused")
    token_account_claim: str = Field("sub", description="Claim that names a token's account, or a list of its accounts")
    account_pattern: str = Field(
        ACCOUNT_PATTERN, description="Regular expression of an account's id; accounts with orders keep working"
    )
    verified_tokens_max: Count = Field(10_000, description="Valid tokens that one API process remembers for a minute")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of front ends on other addresses, separated by commas; http://localhost:* is any port",
    )
    allowed_headers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",), description="Request headers that front ends on other addresses may send, separated by commas; *: any"
    )
    local_token_file: str | None = Field(None, description="Development: the token that GraphiQL is prefilled with")

    @field_validator("account_pattern")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        return AccountRule(pattern=value).pattern

    @field_validator("allowed_origins", "allowed_headers", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Return them in a browser's form, by which they are compared."""
        return tuple(origin(text) for text in value)

    @field_validator("allowed_headers")
    @classmethod
    def _are_header_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = next((name for name in value if _HEADER_NAME.fullmatch(name) is None), None)
        if wrong is not None:
            raise ValueError(f"{wrong} is no name of a header; write them like X-Request-Id, Sentry-Trace, or *")
        return tuple(name.lower() for name in value)

    @field_validator("token_jwks_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @model_validator(mode="after")
    def _token_secrets_are_long_enough(self) -> Self:
        for name in ("token_secret", "token_secret_previous"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and len(secret.get_secret_value().encode()) < TOKEN_SECRET_MIN_BYTES:
                raise ValueError(f"{name.upper()} must be 32 bytes or longer (RFC 7518, section 3.2)")
        return self

    @property
    def are_token_keys_discovered(self) -> bool:
        """Whether the keys are found through the issuer's configuration: only TOKEN_ISSUER is set."""
        others = (self.token_secret, self.token_secret_previous, self.token_jwks_file, self.token_jwks_url)
        return self.token_issuer is not None and not any(others)

    def token_problems(self) -> Sequence[str]:
        """Return a sentence for each reason why these settings do not define whose tokens are valid.

        Only an API checks: a worker or an ingest verifies no token, and starts without.
        """
        secrets = [name for name in ("TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS") if getattr(self, name.lower())]
        issuers = [name for name in ("TOKEN_JWKS_FILE", "TOKEN_JWKS_URL") if getattr(self, name.lower())]
        if secrets and issuers:
            names = " and ".join([*secrets, *issuers])
            return [f"{names} are set: set a secret or an issuer's keys. Both together would make two issuers."]
        if secrets:
            return [] if self.token_secret else ["TOKEN_SECRET_PREVIOUS is set without TOKEN_SECRET: set both."]
        if len(issuers) > 1:
            return [f"{' and '.join(issuers)} are both set: set one of them."]
        if not issuers and self.token_issuer is None:
            return [NO_TOKEN_KEY]
        return [*self._missing_claims(), *self._issuer_problems()]

    def _missing_claims(self) -> Sequence[str]:
        missing = [name for name in ("TOKEN_AUDIENCE", "TOKEN_ISSUER") if getattr(self, name.lower()) is None]
        names = " and ".join(missing)
        why = "without it, tokens that the issuer made out for other systems would be accepted"
        return [f"{names} must be set with an issuer's keys: {why}."] if missing else []

    def _issuer_problems(self) -> Sequence[str]:
        """Check the issuer as an address, where its keys are to be found (OpenID Connect Discovery 1.0, section 3)."""
        if not self.are_token_keys_discovered or self.token_issuer is None:
            return []
        try:
            web_address(self.token_issuer)
        except ValueError as error:
            return [f"TOKEN_ISSUER: without TOKEN_JWKS_URL or TOKEN_JWKS_FILE it is an address, and {error}."]
        return ["TOKEN_ISSUER must have no query."] if "?" in self.token_issuer else []
