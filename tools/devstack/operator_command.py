"""`./dev fillwire …`: an operator's command with the settings of the running `./dev up`.

`./dev up` writes the settings beside its token: the addresses of its servers and the operator's own database role.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tools.devstack.errors import LocalStackError
from tools.devstack.folder import write_secret

SETTINGS_NAME = "operator-settings.json"


def write_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Write the settings that differ from this process's environment, readable by the owner only."""
    own = {name: value for name, value in settings.items() if os.environ.get(name) != value}
    write_secret(folder / SETTINGS_NAME, json.dumps(own))


def remove_settings(folder: Path) -> None:
    """Delete what `write_settings` wrote: the addresses end with the servers."""
    (folder / SETTINGS_NAME).unlink(missing_ok=True)


def become_command(folder: Path, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by `python -m runtime ARGUMENTS`. Raises LocalStackError when `./dev up` does not run.

    Help needs nothing that runs; without an argument it is shown.
    """
    arguments = arguments or ["--help"]
    try:
        os.environ.update(json.loads((folder / SETTINGS_NAME).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        if not {"-h", "--help"} & set(arguments):
            raise LocalStackError("`./dev up` does not run. Start it first: ./dev up") from error
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "runtime", *arguments])  # noqa: S606  # Without a shell.
