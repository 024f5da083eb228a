"""The containers of docker-compose.yml start in production with the three secrets that it asks for, nothing else."""

import re
import secrets
from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.insecure import refuse_insecure
from tests.support.processes import ROOT

GIVEN = {name: secrets.token_hex(24) for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "TOKEN_SECRET")}
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])([^}]*)\}")
SETTING = re.compile(r"^ +([A-Z_]+): (.+)$", re.MULTILINE)
PROCESSES = ("migrate", "instruments", "api", "worker", "ingest")


def compose_environment(path: Path) -> dict[str, str]:
    """What the file passes to our processes: its block of shared settings, and the API's TOKEN_SECRET."""
    text = path.read_text()
    shared = text.partition("x-environment:")[2].partition("\n\n")[0]
    assert "TOKEN_SECRET: ${TOKEN_SECRET:?" in text
    found = {name: VARIABLE.sub(_substituted, value) for name, value in SETTING.findall(shared)}
    return {**found, "TOKEN_SECRET": GIVEN["TOKEN_SECRET"]}


def _substituted(variable: re.Match[str]) -> str:
    name, operator, default = variable.groups()
    return GIVEN.get(name, "" if operator.endswith("?") else default)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in compose_environment(ROOT / "docker-compose.yml").items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_starts_with_the_settings_of_the_compose_file(process: str) -> None:
    settings = load_settings()

    assert settings.fillwire_env == "production"
    assert settings.database_url is not None
    assert {risk.name for risk in refuse_insecure(settings, process=process)} <= {"venue-http", "simulator-key"}


def test_without_what_the_file_allows_the_simulated_exchange_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_INSECURE", "")

    with pytest.raises(SettingsError, match="EXCHANGE_URL is plain http"):
        refuse_insecure(load_settings(), process="worker")
