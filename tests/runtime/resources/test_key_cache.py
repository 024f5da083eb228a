"""The file with the issuer's last keys: complete, readable only by its owner, and of this issuer."""

import stat
from pathlib import Path

import pytest

from graph.auth.key_set import KeySet, parse_key_set
from runtime.resources.key_cache import KeyCache
from tests.support.token_issuer import key_set, new_key, public_entry

ISSUER = "https://issuer.example"
BAD_MODES = (0o620, 0o602, 0o666)


@pytest.fixture
def cache(tmp_path: Path) -> KeyCache:
    return KeyCache(path=tmp_path / "cache.json", issuer=ISSUER)


def some_keys() -> KeySet:
    return parse_key_set(key_set(public_entry(new_key(), "one"), public_entry(new_key(), "two")))


def test_what_was_written_is_read_again(cache: KeyCache) -> None:
    cache.write(some_keys())
    newer = some_keys()

    cache.write(newer)

    keys, _ = cache.read()
    assert keys.thumbprints == newer.thumbprints
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert list(cache.path.parent.iterdir()) == [cache.path]


def test_a_file_that_cannot_be_replaced_stays_and_no_other_file_is_left(cache: KeyCache) -> None:
    cache.path.mkdir()

    with pytest.raises(OSError):  # noqa: PT011 - its text is the operating system's
        cache.write(some_keys())

    assert list(cache.path.parent.iterdir()) == [cache.path]


@pytest.mark.parametrize("mode", BAD_MODES)
def test_a_file_that_others_can_write_is_not_used(cache: KeyCache, mode: int) -> None:
    cache.write(some_keys())
    cache.path.chmod(mode)

    with pytest.raises(ValueError, match="others than the user of this process may write it"):
        cache.read()


def test_the_keys_of_another_issuer_are_not_used(cache: KeyCache) -> None:
    KeyCache(path=cache.path, issuer="https://another.example").write(some_keys())

    with pytest.raises(ValueError, match="another issuer"):
        cache.read()


@pytest.mark.parametrize("content", [b"", b"[" * 150_000, b'{"issuer": "https://issuer.example", "keys": []}'])
def test_a_file_without_a_usable_key_is_not_used(cache: KeyCache, content: bytes) -> None:
    cache.path.write_bytes(content)

    with pytest.raises(ValueError):  # noqa: PT011 - for any content of the file
        cache.read()
