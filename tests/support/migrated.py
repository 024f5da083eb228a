"""Migrations of the tests' databases, with the roles as which their processes log in."""

from db.migrate import upgrade
from db.role_statements import RoleSetup
from db.roles import PROCESS_ROLES
from tools.devstack.database_roles import ROLE_PREFIX, role_password


def embedded_roles(url: str) -> RoleSetup:
    """Return the roles of `tools.devstack.database_roles.role_url`, on the server of this superuser."""
    return RoleSetup(prefix=ROLE_PREFIX, passwords={role: role_password(url, role) for role in PROCESS_ROLES})


def migrate(url: str) -> None:
    """Migrate the database of a superuser's URL, and make the server's roles. Must not be called in an event loop."""
    upgrade(url, roles=embedded_roles(url))
