"""The settings: what they accept, what they refuse, and what they never show."""

import re
import secrets

import pytest

from runtime.commands.settings_table import show
from runtime.settings import Settings, SettingsError, load_settings

SECRET = secrets.token_hex(16)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_process_that_needs_a_missing_setting_gets_its_name_and_the_fix() -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL is not set\. Set it in the environment"):
        load_settings().require("database_url")


def test_a_value_out_of_range_is_refused_by_the_name_of_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACEMENT_MAX_ATTEMPTS", "0")

    with pytest.raises(SettingsError, match=r"PLACEMENT_MAX_ATTEMPTS: .*greater than 0"):
        load_settings()


def test_a_pattern_of_accounts_that_is_no_regular_expression_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT_PATTERN", "desk-(")

    with pytest.raises(SettingsError, match=r"ACCOUNT_PATTERN: .*'desk-\(' is not a regular expression"):
        load_settings()


def test_a_short_token_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "short")

    with pytest.raises(SettingsError, match="TOKEN_SECRET must be 32 bytes or longer"):
        load_settings()


def test_a_process_that_signs_or_verifies_gets_instructions_for_creating_a_key() -> None:
    with pytest.raises(SettingsError, match=r"^BROADCAST_KEY is not set\. Make one with `openssl rand -hex 32`[^\n]*$"):
        load_settings().require("broadcast_key")


@pytest.mark.parametrize("value", ["short", "k" * 31, f"{'k' * 32},", f"{'k' * 32},short", ",".join(["k" * 32] * 3)])
def test_broadcast_keys_that_are_short_or_too_many_are_refused_without_showing_them(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BROADCAST_KEY", value)

    with pytest.raises(SettingsError, match=r"BROADCAST_KEY: .*(openssl rand -hex 32|at most two)") as refused:
        load_settings()

    assert value not in str(refused.value)


def test_two_broadcast_keys_are_both_secrets_and_the_first_one_signs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = "1" * 32, "2" * 32
    monkeypatch.setenv("BROADCAST_KEY", f"{first}, {second}")
    settings = load_settings()

    assert settings.broadcast_keys == (first, second)
    assert {first, second} <= set(settings.secrets())
    show()
    shown = capsys.readouterr().out
    assert "BROADCAST_KEY" in shown
    assert first not in shown
    assert second not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://user:hidden@127.0.0.1/orders"),
        ("DATABASE_URL", "postgresql://user:hidden@127.0.0.1:port/orders"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "http://:hidden@127.0.0.1/0"),
    ],
)
def test_what_can_never_be_an_address_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"{name}: .*must begin with") as refused:
        load_settings()

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://one:5432,two:5432/orders"),
        ("DATABASE_URL", "postgres://user@/orders?host=/run/postgresql"),
        ("REDIS_URL", "rediss://:secret@cache.example:6380/0"),
    ],
)
def test_every_form_of_address_that_the_drivers_take_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    load_settings().require(name.lower())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("127.0.0.1:8001", "must begin with http:// or https://"),
        ("ws://127.0.0.1:8001", "must begin with http:// or https://"),
        ("http://", "must begin with http:// or https://"),
        ("http://venue.example:http", "must begin with http:// or https://"),
        ("http://venue.example:0", "must begin with http:// or https://"),
        ("http://venue.example:65536", "must begin with http:// or https://"),
        ("http://[::1", "must begin with http:// or https://"),
        ("http://a..b", "its host"),
        ("http://.venue.example", "its host"),
        (f"http://{'a' * 64}.example", "its host"),
        ("http://" + "a." * 127 + "example", "its host"),
        ("http://[::1::1]", "(its host|must begin)"),
        ("http://venue.example\\orders", "its host"),
        ("http://user:hidden@venue.example", "no user and no password"),
        ("http://venue.example/a path", "only ASCII"),
        ("http://venue.example/caf\u00e9", "only ASCII"),
        ("http://b\u00fccher.example", "only ASCII"),
        ("http://venue.example/\r\nx-more: 1", "only ASCII"),
        ("http://venue.example\t", "only ASCII"),
        ("http://venue.example/50%", "its path"),
        ("http://venue.example/<path>", "its path"),
        ("http://venue.example/path?key=hidden", "its path"),
        ("http://venue.example/path#part", "its path"),
        ("http://venue.example?", "its path"),
        ("http://venue.example/v2", "must not end in /v2"),
        ("http://venue.example/paper/v2/", "must not end in /v2"),
    ],
)
def test_an_address_at_which_the_exchange_cannot_be_reached_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("EXCHANGE_URL", value)

    with pytest.raises(SettingsError, match=f"EXCHANGE_URL: .*{said}") as refused:
        load_settings()

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://127.0.0.1:8001/stream", "must begin with ws:// or wss://"),
        ("wss://a..b/stream", "its host"),
        ("wss://venue.example/a stream", "only ASCII"),
        ("wss://venue.example/stream#part", "its path"),
    ],
)
def test_an_address_at_which_the_exchange_cannot_be_streamed_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("EXCHANGE_STREAM_URL", value)

    with pytest.raises(SettingsError, match=f"EXCHANGE_STREAM_URL: .*{said}"):
        load_settings()


@pytest.mark.parametrize(
    "value",
    [
        "https://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets/",
        "http://127.0.0.1:8001",
        "http://[::1]:8001",
        "http://simulated_exchange:8001",
        "HTTPS://xn--bcher-kva.example./a/b%20c/~d",
    ],
)
def test_every_form_of_address_of_an_exchange_is_accepted(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EXCHANGE_URL", value)
    monkeypatch.setenv("EXCHANGE_STREAM_URL", "wss://paper-api.alpaca.markets/stream?feed=1")

    assert load_settings().exchange_url == value


def test_no_time_out_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACEMENT_TIMEOUT_SECONDS", "inf")

    with pytest.raises(SettingsError, match="PLACEMENT_TIMEOUT_SECONDS"):
        load_settings()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "http://one.example, http://two.example")

    assert load_settings().allowed_origins == ("http://one.example", "http://two.example")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://App.Example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:8080", "http://app.example.com:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://Localhost:*", "http://localhost:*"),
        ("http://[::1]:*", "http://[::1]:*"),
        ("*", "*"),
    ],
)
def test_an_origin_is_stored_as_browsers_send_it(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", given)

    assert load_settings().allowed_origins == (kept,)


@pytest.mark.parametrize(
    "given",
    [
        "app.example.com",
        "https://app.example.com/desk",
        "ftp://app.example.com",
        "null",
        "https://a:b",
        "https://u@a",
        "https://*",
        "https://a:80:*",
        "https://a/:*",
        "https://:*",
        "*:*",
    ],
)
def test_what_is_no_origin_is_a_sentence_at_the_start(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", f"https://app.example.com,{given}")

    with pytest.raises(SettingsError, match=r"ALLOWED_ORIGINS: .*https://app\.example\.com") as refusal:
        load_settings()

    assert given.replace("u@", "***@") in str(refusal.value)


def test_headers_of_pages_are_kept_in_lower_case_and_what_is_no_name_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().allowed_headers == ("*",)
    monkeypatch.setenv("ALLOWED_HEADERS", "Sentry-Trace, baggage")
    assert load_settings().allowed_headers == ("sentry-trace", "baggage")

    monkeypatch.setenv("ALLOWED_HEADERS", "x-*")
    with pytest.raises(SettingsError, match=r"ALLOWED_HEADERS: .*x-\* is no name of a header"):
        load_settings()


def test_the_table_of_settings_masks_every_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hidden@127.0.0.1/orders")

    code = show()

    output = capsys.readouterr().out
    assert code == 0
    assert "PLACEMENT_BACKOFF_SECONDS" in output
    assert SECRET not in output
    assert "hidden" not in output


def test_the_table_of_settings_masks_logins_and_queries_of_every_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    monkeypatch.setenv("EXCHANGE_STREAM_URL", "wss://venue.example/stream?key=hidden")
    monkeypatch.setenv("TOKEN_JWKS_URL", "https://issuer.example/jwks?token=hidden")

    show()

    output = capsys.readouterr().out
    assert "wss://venue.example/stream?***" in output
    assert "https://issuer.example/jwks?***" in output
    assert "hidden" not in output


def test_an_unusable_environment_lists_the_given_settings_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_SECRET_FILE", "/nowhere/secret")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://user:hidden@desk.example")

    code = show()

    output = capsys.readouterr().out
    assert code == 2
    assert re.search(r"^TOKEN_SECRET +\*\*\* ", output, re.MULTILINE)
    assert "TOKEN_SECRET_FILE: /nowhere/secret cannot be used" in output
    assert "hidden" not in output


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_second_at_sign_is_refused_because_drivers_read_it_differently(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scheme = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis"}[name]
    monkeypatch.setenv(name, f"{scheme}://user:hid@den@127.0.0.1/0")

    with pytest.raises(SettingsError, match="%40") as refused:
        load_settings()

    assert "den" not in str(refused.value)


def test_the_lease_outlasts_two_look_ups_and_a_send() -> None:
    settings = Settings(placement_timeout_seconds=10)

    assert settings.placement_lease.total_seconds() / 2 >= 3 * settings.placement_timeout_seconds


def test_every_limit_and_time_out_ends_with_its_unit() -> None:
    units = (
        "_seconds",
        "_ms",
        "_bytes",
        "_max",
        "_slots",
        "_characters",
        "_tokens",
        "_depth",
        "_nesting",
        "_aliases",
        "_directives",
        "_repeats",
        "_orders",
        "_changes",
        "_objects",
        "_documents",
        "_errors",
        "_attempts",
        "_failures",
        "_percent",
    )
    unitless = {"port", "metrics_port", "exchange_port", "worker_jobs_at_once", "database_statement_cache"}
    numbers = {name for name, field in Settings.model_fields.items() if type(field.default) in {int, float}}

    without_unit = {name for name in numbers - unitless if not name.endswith(units)}

    assert without_unit == set()


def test_the_shares_of_the_rate_limit_are_parts_of_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_RATE_CANCEL_PERCENT", "60")
    monkeypatch.setenv("EXCHANGE_RATE_SUBMIT_PERCENT", "30")

    with pytest.raises(SettingsError, match="100 or less together"):
        load_settings()
