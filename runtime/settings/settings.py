"""All settings of a process, composed of one group for each concern and read from the environment once."""

from collections.abc import Iterator

from pydantic import SecretStr, ValidationError

from runtime.settings.alerts import AlertSettings
from runtime.settings.api import DocumentSettings, HttpSettings, WebSocketSettings
from runtime.settings.auth import AuthSettings
from runtime.settings.database import DatabaseSettings
from runtime.settings.ingest import IngestSettings
from runtime.settings.probes import ProbeSettings
from runtime.settings.process import ProcessSettings
from runtime.settings.rate_limit import RateLimitSettings
from runtime.settings.redis import RedisSettings
from runtime.settings.secret_files import SecretFileError
from runtime.settings.secret_texts import secrets_of_url
from runtime.settings.venue import VenueSettings
from runtime.settings.worker import JobSettings, SubmissionSettings

HOW_TO_SET = "Set it in the environment, or use ./dev up, which sets everything."
HOW_TO_SET_THIS = {
    "broadcast_key": (
        "Make one with `openssl rand -hex 32`, and give every api, worker and ingest process the same one; "
        "./dev up makes its own."
    )
}
SIMULATOR_KEY = "simulator"


class SettingsError(Exception):
    """The environment contains an unusable value; the message has the fix."""


# pydantic collects the fields of the last base first: in this order `python -m runtime settings` begins with the
# addresses and ends with the alerts.
class Settings(
    AlertSettings,
    DocumentSettings,
    HttpSettings,
    WebSocketSettings,
    IngestSettings,
    JobSettings,
    SubmissionSettings,
    RateLimitSettings,
    VenueSettings,
    AuthSettings,
    RedisSettings,
    DatabaseSettings,
    ProbeSettings,
    ProcessSettings,
):
    """The settings of one process."""

    def require(self, *names: str) -> None:
        """Raise SettingsError with a sentence for each of these that is not set."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError("\n".join(f"{name.upper()} is not set. {_how_to_set(name)}" for name in missing))

    def secrets(self) -> tuple[str, ...]:
        """Return the values that must never appear in a log: keys, and the passwords inside addresses."""
        names = type(self).model_fields.keys() - {"alert_urls"}
        texts = [text for name in sorted(names) for text in _secrets_of(name, getattr(self, name))]
        texts += self.broadcast_keys
        texts += [text for address in self.alert_addresses for text in (address, *secrets_of_url(address))]
        return tuple(dict.fromkeys(text for text in texts if text and text != SIMULATOR_KEY))


def _how_to_set(name: str) -> str:
    return HOW_TO_SET_THIS.get(name, HOW_TO_SET)


def load_settings() -> Settings:
    """Read the environment. Raise SettingsError with a sentence for each value to fix."""
    try:
        return Settings()
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(problem)) for problem in error.errors())) from None


def _secrets_of(name: str, value: object) -> Iterator[str]:
    """Yield the secret parts of a setting's value: a key itself, or the secrets in an address."""
    if isinstance(value, tuple):
        for part in value:
            yield from _secrets_of(name, part)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and "://" in text:
        yield from secrets_of_url(text)
    if isinstance(value, SecretStr) and not name.endswith("_url"):
        yield value.get_secret_value()


def _sentence(problem: dict[str, object]) -> str:
    location = problem["loc"]
    name = "_".join(str(part) for part in location).upper() if isinstance(location, tuple) else ""
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])
