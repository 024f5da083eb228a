"""Settings that are unsafe outside of development: each stops the start in production unless ALLOW_INSECURE names it.

One row of RISKS for each: which setting, in which processes it matters, when it is unsafe, and the sentence about it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from db.roles import Role
from runtime.settings.guessable import is_guessable
from runtime.settings.hosts import is_loopback, is_plain_postgres, is_plain_redis, url_host
from runtime.settings.settings import SIMULATOR_KEY, Settings, SettingsError

Environment = Mapping[str, str]
PLAIN_SCHEMES = ("http", "ws")

API = frozenset({"api"})
INGEST = frozenset({"ingest"})
VENUE_CLIENTS = frozenset({"worker", "ingest", "instruments"})
REDIS_CLIENTS = frozenset({"api", "worker", "ingest"})
MIGRATE = frozenset({"migrate"})
SIMULATOR = "exchange"
"""This process uses none of these settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One way in which one setting is unsafe. `name` is what ALLOW_INSECURE calls it; several rows may share one."""

    name: str
    setting: str
    is_unsafe: Callable[[Settings, Environment], bool]
    wrong: str
    danger: str
    fix: str
    processes: frozenset[str] | None = None
    """The processes that use the setting; None: every one."""

    def concerns(self, process: str) -> bool:
        """Return whether the process uses the setting."""
        return process != SIMULATOR and (self.processes is None or process in self.processes)

    def __str__(self) -> str:
        """Return the sentence for a person."""
        setting = self.setting.upper()
        return f"{setting} {self.wrong}, so {self.danger}: {self.fix}, or allow it by ALLOW_INSECURE={self.name}."


def _secret(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else ""


def _is_plain_web(url: str | None) -> bool:
    return url is not None and urlsplit(url).scheme.lower() in PLAIN_SCHEMES and not is_loopback(url_host(url))


def _is_simulators_elsewhere(settings: Settings, name: str) -> bool:
    is_here = all(is_loopback(url_host(url)) for url in (settings.exchange_url, settings.exchange_stream_url))
    return not is_here and _secret(settings, name) == SIMULATOR_KEY


def _is_guessable(name: str) -> Callable[[Settings, Environment], bool]:
    return lambda settings, _: is_guessable(_secret(settings, name))


_PLAIN = "is plain {schemes} to an address that is not on this machine"
_PUBLIC = "does not require TLS at a host that is neither on this machine nor in a private network"
_GUESSABLE = "holds a word of an example, repeats itself or is a sequence"
_AT_RANDOM = "draw one at random, as with openssl rand -hex 32"
_SIMULATORS = "is the published key of the simulated exchange for an address that is not on this machine"

_ROLE_PASSWORDS = tuple(
    Risk(
        name="weak-secret",
        setting=f"database_{role}_password",
        processes=MIGRATE,
        is_unsafe=_is_guessable(f"database_{role}_password"),
        wrong=_GUESSABLE,
        danger="anyone who guesses it and reaches PostgreSQL has that role's privileges",
        fix=_AT_RANDOM,
    )
    for role in Role
)
RISKS: Sequence[Risk] = (
    *_ROLE_PASSWORDS,
    Risk(
        name="venue-http",
        setting="exchange_url",
        processes=VENUE_CLIENTS,
        is_unsafe=lambda settings, _: _is_plain_web(settings.exchange_url),
        wrong=_PLAIN.format(schemes="http"),
        danger="anybody on the way reads the venue's key and can change orders",
        fix="use https://",
    ),
    Risk(
        name="venue-http",
        setting="exchange_stream_url",
        processes=INGEST,
        is_unsafe=lambda settings, _: _is_plain_web(settings.exchange_stream_url),
        wrong=_PLAIN.format(schemes="ws"),
        danger="anybody on the way reads the venue's key and can invent fills",
        fix="use wss://",
    ),
    Risk(
        name="simulator-key",
        setting="exchange_key",
        processes=VENUE_CLIENTS,
        is_unsafe=lambda settings, _: _is_simulators_elsewhere(settings, "exchange_key"),
        wrong=_SIMULATORS,
        danger="anybody who reaches that address can trade",
        fix="set the key that the venue gave you",
    ),
    Risk(
        name="simulator-key",
        setting="exchange_secret",
        processes=VENUE_CLIENTS,
        is_unsafe=lambda settings, _: _is_simulators_elsewhere(settings, "exchange_secret"),
        wrong=_SIMULATORS,
        danger="anybody who reaches that address can trade",
        fix="set the secret that the venue gave you",
    ),
    Risk(
        name="jwks-http",
        setting="token_jwks_url",
        processes=API,
        is_unsafe=lambda settings, _: _is_plain_web(settings.token_jwks_url),
        wrong=_PLAIN.format(schemes="http"),
        danger="anybody on the way can put a key in and sign tokens of every account",
        fix="use https://",
    ),
    Risk(
        name="jwks-http",
        setting="token_issuer",
        processes=API,
        is_unsafe=lambda settings, _: settings.are_token_keys_discovered and _is_plain_web(settings.token_issuer),
        wrong=_PLAIN.format(schemes="http"),
        danger="anybody on the way can put a key in and sign tokens of every account",
        fix="use https://",
    ),
    Risk(
        name="any-origin",
        setting="allowed_origins",
        processes=API,
        is_unsafe=lambda settings, _: "*" in settings.allowed_origins,
        wrong="is *",
        danger="the pages of every site may send requests and read their answers",
        fix="name the origins of your front ends",
    ),
    Risk(
        name="crash-points",
        setting="crash_at",
        is_unsafe=lambda settings, _: bool(settings.crash_at),
        wrong="is set",
        danger="the process ends at random moments, as fault runs need it",
        fix="unset it",
    ),
    Risk(
        name="weak-secret",
        setting="token_secret",
        processes=API,
        is_unsafe=_is_guessable("token_secret"),
        wrong=_GUESSABLE,
        danger="anyone who guesses it can sign tokens of every account",
        fix=_AT_RANDOM,
    ),
    Risk(
        name="weak-secret",
        setting="token_secret_previous",
        processes=API,
        is_unsafe=_is_guessable("token_secret_previous"),
        wrong=_GUESSABLE,
        danger="anyone who guesses it can sign tokens of every account",
        fix="unset it, and withdraw the tokens that it signed",
    ),
    Risk(
        name="weak-secret",
        setting="broadcast_key",
        processes=REDIS_CLIENTS,
        is_unsafe=lambda settings, _: any(map(is_guessable, settings.broadcast_keys)),
        wrong=_GUESSABLE,
        danger="anyone who guesses it and reaches Redis can send subscribers false changes",
        fix=_AT_RANDOM,
    ),
    Risk(
        name="database-plain",
        setting="database_url",
        is_unsafe=lambda settings, environment: is_plain_postgres(_secret(settings, "database_url"), environment),
        wrong=_PUBLIC,
        danger="anybody on the way reads the password and can change orders",
        fix="add ?sslmode=verify-full",
    ),
    Risk(
        name="database-plain",
        setting="migrate_database_url",
        processes=MIGRATE,
        is_unsafe=lambda settings, environment: is_plain_postgres(
            _secret(settings, "migrate_database_url"), environment
        ),
        wrong=_PUBLIC,
        danger="anybody on the way reads the owner's password and can change everything",
        fix="add ?sslmode=verify-full",
    ),
    Risk(
        name="redis-plain",
        setting="redis_url",
        processes=REDIS_CLIENTS,
        is_unsafe=lambda settings, _: is_plain_redis(_secret(settings, "redis_url")),
        wrong=_PUBLIC,
        danger="anybody on the way reads the password and can suppress changes",
        fix="use rediss://",
    ),
)
NAMES = tuple(dict.fromkeys(risk.name for risk in RISKS))


def find_risks(settings: Settings, environment: Environment = os.environ) -> Iterator[Risk]:
    """Yield every unsafe setting, allowed or not; none in development."""
    if settings.is_development:
        return
    for risk in RISKS:
        if getattr(settings, risk.setting) is not None and risk.is_unsafe(settings, environment):
            yield risk


def refuse_insecure(settings: Settings, *, process: str) -> Sequence[Risk]:
    """Return the risks of the process that ALLOW_INSECURE allows. Raise SettingsError for the others, all together."""
    risks = [risk for risk in find_risks(settings) if risk.concerns(process)]
    refused = [risk for risk in risks if risk.name not in settings.allow_insecure]
    if refused:
        raise SettingsError("\n".join(map(str, refused)))
    return risks


def unknown_names(settings: Settings) -> Sequence[str]:
    """Return the unknown names in ALLOW_INSECURE, as after a typing error."""
    return [name for name in settings.allow_insecure if name not in NAMES]
