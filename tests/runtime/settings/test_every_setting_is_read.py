"""Every setting of the documentation has an effect."""

import ast
from collections.abc import Iterator
from pathlib import Path

from db.roles import Role
from domain.model.rate_budget import RequestPriority
from runtime.settings import Settings

ROOT = Path(__file__).parents[3]
PRODUCT = ("broadcast", "db", "domain", "exchange", "graph", "ingest", "jobs", "runtime")
READ_OTHERWISE = {
    **{f"database_{role}_password": "by its role, in DatabaseSettings.role_passwords" for role in Role},
    **{
        f"exchange_rate_{each.label}_percent": "by its class, in RateLimitSettings.rate_shares"
        for each in RequestPriority
    },
}
"""Names that no code reads as an attribute, each with the reason."""


def test_every_setting_is_read_somewhere() -> None:
    read = {name for folder in PRODUCT for path in (ROOT / folder).rglob("*.py") for name in _attributes_read(path)}

    unread = Settings.model_fields.keys() - read

    assert unread == READ_OTHERWISE.keys()


def _attributes_read(path: Path) -> Iterator[str]:
    """Yield `name` of each `settings.name`, and of `self.name` in the settings' own properties."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_settings(node.value, path):
            yield node.attr


def _is_settings(owner: ast.expr, path: Path) -> bool:
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in {"settings", "process_settings"} or (name == "self" and path.parent == ROOT / "runtime/settings")
