"""Settings that are unsafe outside of development stop the start in production, each with its reason."""

import re
import secrets
from collections.abc import Mapping

import pytest

from runtime.commands.settings_table import show
from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.insecure import NAMES, RISKS, SIMULATOR, refuse_insecure
from runtime.settings.secret_files import holds_secret
from tests.support.processes import running
from tools.devstack.ports import free_port

UNSAFE: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "venue-http": ("worker", {"EXCHANGE_URL": "http://venue.example", "EXCHANGE_KEY": "PK1", "EXCHANGE_SECRET": "s1"}),
    "jwks-http": ("api", {"TOKEN_JWKS_URL": "http://issuer.example/jwks"}),
    "any-origin": ("api", {"ALLOWED_ORIGINS": "https://desk.example,*"}),
    "crash-points": ("ingest", {"CRASH_AT": "send:0.1"}),
    "weak-secret": ("api", {"TOKEN_SECRET": "changeme-changeme-changeme-changeme"}),
    "simulator-key": ("worker", {"EXCHANGE_URL": "https://venue.example", "EXCHANGE_SECRET": "s1"}),
    "database-plain": ("migrate", {"DATABASE_URL": "postgresql://user:hidden@db.example/orders"}),
    "redis-plain": ("api", {"REDIS_URL": "redis://:hidden@cache.example/0"}),
}
NOT_CHECKED = {"alert_urls", "exchange_proxy"}
"""Secrets of which no plain address or guessable value is refused: alerts hold no order and no account, and what a
proxy tunnels is encrypted between us and the venue."""
END_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_every_name_of_allow_insecure_has_a_case_here() -> None:
    assert set(UNSAFE) == set(NAMES)


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_setting_stops_the_start_with_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    process, values = UNSAFE[name]
    set_all(monkeypatch, values)

    with pytest.raises(SettingsError) as refused:
        refuse_insecure(load_settings(), process=process)

    sentence = str(refused.value)
    assert sentence.endswith(f"or allow it by ALLOW_INSECURE={name}.")
    assert sentence.startswith((*values, "EXCHANGE_KEY"))
    assert "\n" not in sentence
    assert "hidden" not in sentence
    assert "changeme" not in sentence


@pytest.mark.parametrize("name", UNSAFE)
def test_a_named_risk_is_allowed_and_no_other(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    process, values = UNSAFE[name]
    set_all(monkeypatch, values)
    monkeypatch.setenv("ALLOW_INSECURE", ", ".join(other for other in UNSAFE if other != name))
    with pytest.raises(SettingsError):
        refuse_insecure(load_settings(), process=process)

    monkeypatch.setenv("ALLOW_INSECURE", f"something {name}")

    assert [risk.name for risk in refuse_insecure(load_settings(), process=process)] == [name]


@pytest.mark.parametrize("name", UNSAFE)
def test_nothing_is_refused_in_development_nor_in_the_simulated_exchange(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    process, values = UNSAFE[name]
    set_all(monkeypatch, values)

    assert list(refuse_insecure(load_settings(), process=SIMULATOR)) == []
    monkeypatch.setenv("FILLWIRE_ENV", "development")
    assert list(refuse_insecure(load_settings(), process=process)) == []


def test_all_unsafe_settings_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**UNSAFE["jwks-http"][1], **UNSAFE["any-origin"][1], **UNSAFE["redis-plain"][1]})

    with pytest.raises(SettingsError) as refused:
        refuse_insecure(load_settings(), process="api")

    assert re.findall(r"ALLOW_INSECURE=([a-z-]+)", str(refused.value)) == ["jwks-http", "any-origin", "redis-plain"]


def test_a_process_is_not_stopped_by_a_setting_that_it_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**UNSAFE["venue-http"][1], **UNSAFE["any-origin"][1], **UNSAFE["redis-plain"][1]})

    assert list(refuse_insecure(load_settings(), process="migrate")) == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"EXCHANGE_URL": "http://[::1]:8001", "EXCHANGE_STREAM_URL": "ws://localhost:8001/stream"},
        {"EXCHANGE_URL": "https://venue.example", "EXCHANGE_STREAM_URL": "wss://venue.example/stream"}
        | {"EXCHANGE_KEY": "PK1", "EXCHANGE_SECRET": "s1"},
        {"TOKEN_JWKS_URL": "https://issuer.example/jwks", "ALLOWED_ORIGINS": "https://desk.example"},
        {
            "DATABASE_URL": "postgresql://user@db.example/orders?sslmode=require",
            "REDIS_URL": "rediss://cache.example/0",
        },
        {"DATABASE_URL": "postgresql://user@postgres:5432/orders", "REDIS_URL": "redis://valkey:6379/0"},
    ],
)
@pytest.mark.parametrize("process", ["api", "worker", "ingest", "instruments", "migrate", "limits"])
def test_safe_settings_are_refused_by_no_process(
    monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str], process: str
) -> None:
    set_all(monkeypatch, {"TOKEN_SECRET": secrets.token_hex(32), **values})

    assert list(refuse_insecure(load_settings(), process=process)) == []


def test_every_secret_is_checked_for_something_or_named_here() -> None:
    secret = {name for name, field in Settings.model_fields.items() if holds_secret(field.annotation)}

    assert secret - {risk.setting for risk in RISKS} == NOT_CHECKED


async def test_a_process_with_unsafe_settings_ends_before_it_opens_anything() -> None:
    environment = {"FILLWIRE_ENV": "", "CRASH_AT": "send:0.1", **UNSAFE["database-plain"][1]}

    async with running(["-m", "runtime", "migrate"], environment=environment) as process:
        exit_code = await process.ends(within_seconds=END_SECONDS)

    assert exit_code == 2
    assert [line.split()[0] for line in process.output] == ["fillwire", "CRASH_AT", "DATABASE_URL"]
    assert "hidden" not in "\n".join(process.output)


async def test_allowed_and_unknown_names_are_logged() -> None:
    environment = {"DATABASE_URL": f"postgresql://user@127.0.0.1:{free_port()}/orders", "CRASH_AT": "send:0"}
    environment |= {"ALLOW_INSECURE": "crash-points any-orign", "LOG_FORMAT": "plain"}

    async with running(["-m", "runtime", "migrate"], environment=environment) as process:
        await process.ends(within_seconds=END_SECONDS)

    output = "\n".join(process.output)
    assert "insecure_setting_allowed" in output
    assert "allowed_by=crash-points" in output
    assert "insecure_name_unknown" in output
    assert "name=any-orign" in output


def test_the_table_of_settings_shows_what_would_stop_which_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_all(monkeypatch, UNSAFE["any-origin"][1])

    code = show()

    assert code == 2
    assert "api: ALLOWED_ORIGINS is *" in capsys.readouterr().out
