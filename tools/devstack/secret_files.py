"""Secrets that the user gave in files: the local stack decides by DATABASE_URL and similar settings which servers
to start itself.
"""

from collections.abc import MutableMapping

from tools.devstack.errors import LocalStackError


def read_secret_files(environment: MutableMapping[str, str]) -> None:
    """Replace each `<SECRET>_FILE` by the secret in that file, as if it had been given. Raise LocalStackError."""
    if not any(name.endswith("_FILE") and value for name, value in environment.items()):
        return
    from runtime.settings import Settings  # noqa: PLC0415 - importing takes a third of a second
    from runtime.settings.secret_files import SUFFIX, SecretFileError, read_secret_files  # noqa: PLC0415 - as above

    try:
        found = read_secret_files(Settings.model_fields, {name.lower(): value for name, value in environment.items()})
    except SecretFileError as error:
        raise LocalStackError(str(error)) from error
    for name, secret in found.items():
        environment[name.upper()] = secret
        environment.pop(f"{name.upper()}{SUFFIX}", None)
