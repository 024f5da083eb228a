"""The containers of docker-compose.yml start in production with only its required secrets."""

import re
import secrets
from collections import defaultdict

import pytest
import yaml  # type: ignore[import-untyped]  # Its stubs are a separate package; not needed for one call.

from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.insecure import refuse_insecure
from tests.support.processes import ROOT

VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])([^}]*)\}")
PROCESSES = ("migrate", "instruments", "api", "worker", "ingest")


def compose_environment(service: str) -> dict[str, str]:
    """Return the environment of a service in the file, with a random text for each required variable."""
    given: defaultdict[str, str] = defaultdict(lambda: secrets.token_hex(24))

    def substituted(variable: re.Match[str]) -> str:
        name, operator, default = variable.groups()
        return given[name] if operator.endswith("?") else default

    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {name: VARIABLE.sub(substituted, value) for name, value in services[service]["environment"].items()}


def use(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set exactly the service's environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in compose_environment(service).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_starts_with_the_settings_of_the_compose_file(
    process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(process, monkeypatch)

    settings = load_settings()

    assert settings.fillwire_env == "production"
    assert settings.database_url is not None or settings.migrate_database_url is not None
    assert {risk.name for risk in refuse_insecure(settings, process=process)} <= {"venue-http", "simulator-key"}


def test_without_what_the_file_allows_the_simulated_exchange_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use("worker", monkeypatch)
    monkeypatch.setenv("ALLOW_INSECURE", "")

    with pytest.raises(SettingsError, match="EXCHANGE_URL is plain http"):
        refuse_insecure(load_settings(), process="worker")
