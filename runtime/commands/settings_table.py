"""`python -m runtime settings`: every setting with its default and its current value, secrets masked."""

import os
from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from runtime.observability.masking import MASK
from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.addresses import masked_url
from runtime.settings.insecure import find_risks
from runtime.settings.secret_files import SUFFIX


def show() -> int:
    """Print the table; exit code 2 when the environment cannot be used, or not in production, with the reasons."""
    try:
        current: Settings | None = load_settings()
        problem = ""
    except SettingsError as error:
        current, problem = None, f"Cannot be used:\n{error}"
    rows = [_row(name, field, current) for name, field in Settings.model_fields.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, default, meaning in rows:
        line = f"{name:<{widths[0]}}  {value:<{widths[1]}}  {default:<{widths[2]}}  {meaning}"
        print(line.rstrip())  # noqa: T201 - a command's output
    refused = list(_refused(current)) if current is not None else []
    if refused:
        problem = "\n".join(("Stops the start in production:", *refused))
    if problem:
        print(f"\n{problem}")  # noqa: T201 - a command's output
        return 2
    return 0


def _refused(settings: Settings) -> Iterator[str]:
    """Yield what would stop the start of one process or another."""
    for risk in find_risks(settings):
        if risk.name not in settings.allow_insecure:
            yield f"{', '.join(sorted(risk.processes or {'every process'}))}: {risk}"


def _row(name: str, field: FieldInfo, current: Settings | None) -> tuple[str, str, str, str]:
    default = "(required)" if field.default is PydanticUndefined else _text(field.default)
    variable = name.upper()
    given = os.environ.get(variable) or os.environ.get(f"{variable}{SUFFIX}")
    value = _text(getattr(current, name)) if current is not None else MASK if given else _text(None)
    return variable, value, f"[{default}]", field.description or ""


def _text(value: object) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, SecretStr):
        return MASK
    return ",".join(map(_text, value)) if isinstance(value, tuple) else masked_url(str(value))
