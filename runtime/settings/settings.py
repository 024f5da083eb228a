"""All settings of a process, composed of one group for each concern and read from the environment once."""

from urllib.parse import urlsplit

from pydantic import ValidationError

from runtime.settings.alerts import AlertSettings
from runtime.settings.api import DocumentSettings, HttpSettings, WebSocketSettings
from runtime.settings.auth import AuthSettings
from runtime.settings.database import DatabaseSettings
from runtime.settings.ingest import IngestSettings
from runtime.settings.probes import ProbeSettings
from runtime.settings.process import ProcessSettings
from runtime.settings.rate_limit import RateLimitSettings
from runtime.settings.redis import RedisSettings
from runtime.settings.venue import VenueSettings
from runtime.settings.worker import JobSettings, SubmissionSettings

HOW_TO_SET = "Set it in the environment, or use ./dev up, which sets everything."
SIMULATOR_KEY = "simulator"


class SettingsError(Exception):
    """The environment holds something that cannot be used; the message says what to fix."""


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
            raise SettingsError("\n".join(f"{name.upper()} is not set. {HOW_TO_SET}" for name in missing))

    def secrets(self) -> tuple[str, ...]:
        """Return the values that must never be seen in a log: keys, and the passwords inside addresses."""
        keys = (self.token_secret, self.exchange_secret, self.exchange_key)
        texts = [key.get_secret_value() for key in keys if key is not None]
        addresses = [url.get_secret_value() for url in (self.database_url, self.redis_url) if url is not None]
        texts += [urlsplit(address).password or "" for address in addresses]
        texts += self.alert_addresses
        return tuple(text for text in texts if text and text != SIMULATOR_KEY)


def load_settings() -> Settings:
    """Read the environment. Raise SettingsError with a sentence for each value to fix."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(problem)) for problem in error.errors())) from None


def _sentence(problem: dict[str, object]) -> str:
    location = problem["loc"]
    name = "_".join(str(part) for part in location).upper() if isinstance(location, tuple) else ""
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])
