"""Secrets in files: `TOKEN_SECRET_FILE` names a file with the value of TOKEN_SECRET; likewise for every secret setting.

Platforms mount secrets as files. In the environment they are also visible to users that may list processes, to child
processes and to crash reports.
"""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

Environment = Mapping[str, str | None]
"""Variables by their name in lower case."""

SUFFIX = "_FILE"
SECRET_FILE_MAX_BYTES = 65_536
_OTHERS = stat.S_IROTH | stat.S_IWOTH


class SecretFileError(Exception):
    """Secrets cannot be read from their files; a sentence for each."""


class SecretFilesSource(EnvSettingsSource):
    """A source of pydantic-settings for the fields that hold a SecretStr. It reads the files when it is called."""

    def __call__(self) -> dict[str, Any]:
        """Return the secrets by field. Raise SecretFileError."""
        return dict(read_secret_files(self.settings_cls.model_fields, self.env_vars))


def read_secret_files(fields: Mapping[str, FieldInfo], environment: Environment) -> Mapping[str, str]:
    """Return the secrets of all files that the environment names, by field. Raise SecretFileError."""
    found, problems = {}, []
    for name, path in secret_files(fields, environment):
        setting = f"{name.upper()}{SUFFIX}"
        if environment.get(name):
            problems.append(f"{name.upper()} and {setting} are both set: unset one of them.")
            continue
        try:
            found[name] = read_secret(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{setting}: {path} cannot be used: {reason}.")
    if problems:
        raise SecretFileError("\n".join(problems))
    return found


def secret_files(fields: Mapping[str, FieldInfo], environment: Environment) -> Iterator[tuple[str, Path]]:
    """Yield each secret field whose file is named, with the file."""
    for name, field in fields.items():
        path = environment.get(f"{name}{SUFFIX.lower()}")
        if path and holds_secret(field.annotation):
            yield name, Path(path)


def holds_secret(annotation: object) -> bool:
    """Return whether values of this type are secrets, or hold some."""
    return annotation is SecretStr or any(map(holds_secret, get_args(annotation)))


def read_secret(path: Path) -> str:
    """Return the file's only line. Raise OSError, or ValueError with a reason that does not contain the content."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is not a regular file")  # A pipe could block the process permanently.
    with path.open("rb") as file:
        content = file.read(SECRET_FILE_MAX_BYTES + 1)
    if len(content) > SECRET_FILE_MAX_BYTES:
        raise ValueError(f"it is larger than {SECRET_FILE_MAX_BYTES} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise ValueError("it is empty")
    if not text.isprintable():
        raise ValueError("it must hold one line, without control characters")
    return text


def is_open_to_others(path: Path) -> bool:
    """Return whether any user of the machine may read or write the file."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
