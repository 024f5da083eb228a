"""Masks secrets in a text, in every notation. Pure.

A password reaches a log line raw, percent-encoded or decoded, in the repr() of an exception, inside JSON, as bytes, and
in several of these at the same time. So every character of a secret is searched in each of its forms.
"""

import re
from collections.abc import Iterator, Sequence

MASK = "***"
ESCAPES_MAX = 15
"""Backslashes before an escaped character. Each repr() or JSON doubles those of the one inside and adds one: four
levels."""
PERCENT_ENCODINGS_MAX = 3
ANCHOR_MIN_CHARACTERS = 3

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
"""Characters that neither URLs nor JSON nor repr() write differently (RFC 3986, 2.3)."""
_ESCAPE = rf"\\{{1,{ESCAPES_MAX}}}"
_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\v": "v", "\a": "a", "\0": "0"}


class SecretMask:
    """Replaces secrets by a mask. Longer ones are replaced first: a secret may be a part of another."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._masks = [_Secret(secret) for secret in sorted(set(secrets), key=len, reverse=True) if secret]

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for secret in self._masks:
            text = secret.mask(text)
        return text


class _Secret:
    """One secret. Nearly every line lacks its longest run of plain characters, and need not be searched further."""

    def __init__(self, secret: str) -> None:
        self._anchor = max(_UNRESERVED.findall(secret), key=len, default="")
        self._pattern = None if self._anchor == secret else re.compile("".join(_forms_of_text(secret)))

    def mask(self, text: str) -> str:
        if len(self._anchor) >= ANCHOR_MIN_CHARACTERS and self._anchor not in text:
            return text
        return text.replace(self._anchor, MASK) if self._pattern is None else self._pattern.sub(MASK, text)


def _forms_of_text(text: str) -> Iterator[str]:
    for part in re.findall(r"\\+|[^\\]", text, re.DOTALL):
        if part[0] == "\\":
            # Escaping a run of them produces a longer run, for any number of levels.
            one = rf"{_percent_encoded(part[0])}|\\|{_ESCAPE}(?:x5c|u005c)"
            yield f"(?:{one}){{1,{(ESCAPES_MAX + 1) * len(part)}}}"
        elif _UNRESERVED.fullmatch(part):
            yield re.escape(part)
        else:
            yield f"(?:{'|'.join(_forms_of_character(part))})"


def _forms_of_character(character: str) -> Iterator[str]:
    encoded = _utf8(character)
    yield _percent_encoded(character)  # Before the character itself, for a per cent sign.
    yield rf"\\{{0,{ESCAPES_MAX}}}{re.escape(character)}"
    yield "".join(f"{_ESCAPE}x{byte:02x}" for byte in encoded)
    yield "".join(re.escape(chr(byte)) for byte in encoded)  # UTF-8 that was read as Latin-1, as headers are.
    yield f"(?i:{''.join(f'{_ESCAPE}u{unit:04x}' for unit in _utf16(character))})"
    yield f"(?i:{_ESCAPE}U{ord(character):08x})"
    if ord(character) <= 0xFF:  # noqa: PLR2004 - the last one of Latin-1
        yield f"(?i:{_ESCAPE}x{ord(character):02x})"
    if character in _LETTERS:
        yield f"{_ESCAPE}{_LETTERS[character]}"
    if character == " ":
        yield r"\+"
    if character == "\n":
        yield "\n *"  # Lines of a traceback are indented.


def _percent_encoded(character: str) -> str:
    again = f"(?:25){{0,{PERCENT_ENCODINGS_MAX - 1}}}"
    return f"(?i:{''.join(f'%{again}{byte:02x}' for byte in _utf8(character))})"


def _utf8(character: str) -> bytes:
    """Return its bytes; one that could not be decoded, as the environment may hold, is that byte again."""
    try:
        return character.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return character.encode(errors="surrogatepass")


def _utf16(character: str) -> Iterator[int]:
    """Yield its code units: JSON writes characters beyond the first plane as two."""
    units = character.encode("utf-16-be", errors="surrogatepass")
    return (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
