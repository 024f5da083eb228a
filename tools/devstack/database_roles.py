"""The roles of the embedded PostgreSQL: the login of each process. Their passwords are derived from the superuser's."""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

ROLE_PREFIX = "fillwire"
PROCESS_ROLES = ("api", "worker", "ingest", "operator")
ROLE_OF_COMMAND = dict.fromkeys(("audit", "instruments", "limits", "orders", "tokens", "trading"), "operator")
"""A process logs in as the role of its own name; people's commands as `operator`."""
PASSWORD_SETTINGS = {role: f"DATABASE_{role.upper()}_PASSWORD" for role in ("owner", *PROCESS_ROLES)}
FOR_MIGRATE_ONLY = ("MIGRATE_DATABASE_URL", *PASSWORD_SETTINGS.values())


def role_url(superuser_url: str, name: str) -> str:
    """Return where the process (`api`, `worker-2`, …) or command logs in, on the superuser's server."""
    name = name.partition("-")[0]
    role = ROLE_OF_COMMAND.get(name, name)
    url = urlsplit(superuser_url)
    _, _, host = url.netloc.rpartition("@")
    return urlunsplit(url._replace(netloc=f"{ROLE_PREFIX}_{role}:{role_password(superuser_url, role)}@{host}"))


def role_password(superuser_url: str, role: str) -> str:
    """Return the role's password, which does not disclose the superuser's or another role's."""
    return hmac.digest((urlsplit(superuser_url).password or "").encode(), role.encode(), "sha256").hex()


def migrate_settings(superuser_url: str) -> Mapping[str, str]:
    """Return the settings by which `migrate` makes the roles and sets their passwords."""
    passwords = {PASSWORD_SETTINGS[role]: role_password(superuser_url, role) for role in PROCESS_ROLES}
    return {"MIGRATE_DATABASE_URL": superuser_url, "DATABASE_ROLE_PREFIX": ROLE_PREFIX, **passwords}
