"""`python -m runtime migrate` as an administrator runs it."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from runtime.settings import load_settings
from tests.runtime.processes.test_start_failures import BAD_SETTINGS, FAILED, ended, says, with_login
from tests.support.servers import PostgresServer
from tools.devstack.database_roles import PASSWORD_SETTINGS, migrate_settings, role_url


async def test_it_creates_the_roles_and_shows_no_password(postgres_server: PostgresServer) -> None:
    url = await postgres_server.create_database()
    settings = migrate_settings(url)

    async with ended("migrate", {**settings, "LOG_LEVEL": "DEBUG"}) as process:
        pass

    passwords = [urlsplit(url).password, *(settings[name] for name in settings if name in PASSWORD_SETTINGS.values())]
    output = "\n".join(process.output)
    api = await asyncpg.connect(role_url(url, "api"))
    assert process.exit_code == 0, output
    assert await api.fetch("SELECT FROM orders") == []
    assert len(passwords) == 5
    assert not [password for password in passwords if password is None or password in output]
    await api.close()
    await postgres_server.drop_database(url)


async def test_without_an_address_it_names_the_setting() -> None:
    assert await says("migrate", {}, "DATABASE_URL is not set") == BAD_SETTINGS


async def test_a_role_that_may_not_create_roles_gets_instructions(postgres_server: PostgresServer) -> None:
    url = await postgres_server.create_database()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE ROLE small LOGIN PASSWORD 'small-password'")

    environment = {"MIGRATE_DATABASE_URL": with_login(url, "small:small-password"), "DATABASE_ROLE_PREFIX": "none"}
    assert await says("migrate", environment, "small may not create roles", "none_api", "--print-roles") == FAILED

    await connection.execute("DROP ROLE small")
    await connection.close()
    await postgres_server.drop_database(url)


@pytest.mark.parametrize("name", ["MIGRATE_DATABASE_URL", *PASSWORD_SETTINGS.values()])
def test_its_passwords_are_masked_in_logs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "only-migrate-knows"
    monkeypatch.setenv(name, f"postgresql://fillwire:{secret}@db/orders" if name.endswith("URL") else secret)

    assert secret in load_settings().secrets()
