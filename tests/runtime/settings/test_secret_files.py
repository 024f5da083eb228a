"""Secrets in files: what is read, what is refused, and that the content is never shown."""

import os
from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.secret_files import SECRET_FILE_MAX_BYTES, holds_secret, is_open_to_others
from tests.support.processes import running
from tools.devstack.errors import LocalStackError
from tools.devstack.ports import free_port
from tools.devstack.secret_files import read_secret_files

SECRETS = sorted(name for name, field in Settings.model_fields.items() if holds_secret(field.annotation))
CONTENT = {
    "database_url": "postgresql://user:hidden@127.0.0.1/orders",
    "migrate_database_url": "postgresql://owner:hidden@127.0.0.1/orders",
    "redis_url": "redis://:hidden@127.0.0.1/0",
    "alert_urls": "jsons://host/hidden",
    "exchange_proxy": "http://desk:hidden@127.0.0.1:3128",
}
OTHER_CONTENT = "hidden-9fd1c2a07b3e4865a1d2c3b4e5f60718"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_every_secret_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, line_end: str
) -> None:
    path, content = tmp_path / name, CONTENT.get(name, OTHER_CONTENT)
    path.write_bytes((content + line_end).encode())
    monkeypatch.setenv(f"{name.upper()}_FILE", str(path))

    settings = load_settings()

    assert content in str(getattr(settings, name).get_secret_value())
    assert any("hidden" in secret for secret in settings.secrets())


def test_a_secret_in_a_file_and_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(OTHER_CONTENT)
    monkeypatch.setenv("EXCHANGE_SECRET", OTHER_CONTENT)
    monkeypatch.setenv("EXCHANGE_SECRET_FILE", str(path))

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert str(refused.value) == "EXCHANGE_SECRET and EXCHANGE_SECRET_FILE are both set: unset one of them."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"hidden\nhidden\n", "one line"),
        (b"hidden\x00", "one line"),
        (b"hidden\xff", "not UTF-8"),
        (b"h" * (SECRET_FILE_MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    monkeypatch.setenv("TOKEN_SECRET_FILE", str(path))

    with pytest.raises(SettingsError, match=reason) as refused:
        load_settings()

    assert str(refused.value).startswith(f"TOKEN_SECRET_FILE: {path} cannot be used: ")
    assert "hidden" not in str(refused.value)
    assert "hh" not in str(refused.value)


def test_a_missing_file_a_folder_and_a_pipe_are_refused_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("TOKEN_SECRET_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("EXCHANGE_KEY_FILE", str(tmp_path))
    monkeypatch.setenv("EXCHANGE_SECRET_FILE", str(tmp_path / "pipe"))

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert str(refused.value).count("cannot be used: ") == 3


def test_an_empty_name_of_a_file_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET_FILE", "")

    assert load_settings().token_secret is None


async def test_a_file_that_every_user_may_read_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "database-url"
    path.write_text(f"postgresql://user:hidden@127.0.0.1:{free_port()}/orders\n")
    path.chmod(0o644)

    async with running(["-m", "runtime", "migrate"], environment={"DATABASE_URL_FILE": str(path)}) as process:
        await process.ends(within_seconds=20)

    output = "\n".join(process.output)
    assert "secret_file_open_to_others" in output
    assert "DATABASE_URL" in output
    assert "hidden" not in output


@pytest.mark.parametrize(("mode", "is_open"), [(0o400, False), (0o640, False), (0o444, True), (0o602, True)])
def test_only_the_rights_of_other_users_count(tmp_path: Path, mode: int, is_open: bool) -> None:
    path = tmp_path / "secret"
    path.write_text(OTHER_CONTENT)
    path.chmod(mode)

    assert is_open_to_others(path) is is_open


def test_the_local_stack_uses_a_secret_file_like_the_secret_itself(tmp_path: Path) -> None:
    path = tmp_path / "database-url"
    path.write_text(CONTENT["database_url"])
    environment = {"DATABASE_URL_FILE": str(path), "LOCAL_TOKEN_FILE": "token"}

    read_secret_files(environment)

    assert environment == {"DATABASE_URL": CONTENT["database_url"], "LOCAL_TOKEN_FILE": "token"}


def test_the_local_stack_names_an_unreadable_secret_file() -> None:
    with pytest.raises(LocalStackError, match="REDIS_URL_FILE"):
        read_secret_files({"REDIS_URL_FILE": "/nowhere"})
