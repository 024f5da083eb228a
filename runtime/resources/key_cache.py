"""The file that stores the issuer's keys, so that an API starts while the issuer is unreachable.

It contains public keys; write access to it decides whose tokens are valid. Several API processes may share it.
"""

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from graph.auth.key_set import KEY_SET_MAX_BYTES, KeySet, parse_key_set

FILE_MODE = 0o600
WRITABLE_BY_OTHERS = 0o022
SUFFIX_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCache:
    """The keys of one issuer in a file. Methods wait for the disk: call them in a thread."""

    path: Path
    issuer: str | None

    def read(self) -> tuple[KeySet, datetime]:
        """Return the keys and when they were written. Raise OSError, or ValueError for a file that must not be used."""
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & WRITABLE_BY_OTHERS or status.st_uid not in {os.geteuid(), 0}:
                raise ValueError("others than the user of this process may write it")
            text = file.read(KEY_SET_MAX_BYTES + 1)
        keys = parse_key_set(text)
        if orjson.loads(text).get("issuer") != self.issuer:
            raise ValueError("it holds the keys of another issuer")
        return keys, datetime.fromtimestamp(status.st_mtime, UTC)

    def write(self, keys: KeySet) -> None:
        """Write the file, completely or not at all; only its owner can read it. Raise OSError."""
        content = {"issuer": self.issuer, "keys": [key.as_entry() for key in keys.keys.values()]}
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(SUFFIX_BYTES)}")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(content))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)
