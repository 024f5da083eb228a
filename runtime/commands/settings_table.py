"""`python -m runtime settings`: every setting with its default and its current value, secrets masked."""

import os

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from runtime.settings import Settings, SettingsError, load_settings

MASK = "***"


def show() -> int:
    """Print the table; exit code 2 when the environment cannot be used, with the reason."""
    try:
        current: Settings | None = load_settings()
        problem = None
    except SettingsError as error:
        current, problem = None, error
    rows = [_row(name, field, current) for name, field in Settings.model_fields.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, default, meaning in rows:
        line = f"{name:<{widths[0]}}  {value:<{widths[1]}}  {default:<{widths[2]}}  {meaning}"
        print(line.rstrip())  # noqa: T201 - a command's output
    if problem is not None:
        print(f"\nCannot be used:\n{problem}")  # noqa: T201 - a command's output
        return 2
    return 0


def _row(name: str, field: FieldInfo, current: Settings | None) -> tuple[str, str, str, str]:
    default = "(required)" if field.default is PydanticUndefined else _text(field.default)
    value = _text(getattr(current, name)) if current is not None else _text(os.environ.get(name.upper()), secret=True)
    return name.upper(), value, f"[{default}]", field.description or ""


def _text(value: object, *, secret: bool = False) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, SecretStr) or secret:
        return MASK
    return ",".join(value) if isinstance(value, tuple) else str(value)
