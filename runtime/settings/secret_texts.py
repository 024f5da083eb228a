"""What is secret in an address: passwords, tokens, keys. Pure."""

import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)@")
_SECRET_PARAMETER = re.compile(r"pass|pwd|secret|token|key|auth|sig|cred", re.IGNORECASE)
_WEB = re.compile(r"(https?|wss?)://", re.IGNORECASE)


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield each secret text in a URL, as it is written there and as drivers decode it.

    The user is one at a web address, where it may be a token; a server's user is a name, and the logs need it.
    """
    login = _LOGIN.match(url)
    if login is not None:
        user, has_password, password = login[1].partition(":")
        yield from (password, unquote(password))
        if _WEB.match(url):
            yield from (user, unquote(user))
        if has_password:
            yield b64encode(f"{unquote(user)}:{unquote(password)}".encode(errors="surrogateescape")).decode()
    for parameter in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = parameter.partition("=")
        if _SECRET_PARAMETER.search(unquote_plus(name)):
            yield from (value, unquote(value), unquote_plus(value))
