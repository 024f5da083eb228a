"""The scopes in a token's claims, in the forms of several issuers. Pure.

An unreadable claim adds no scope.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

TEXT_OR_LIST = ("scope", "scp")
"""`scope`: RFC 8693, section 4.2; some issuers send a list. `scp`: Microsoft Entra ID and Okta."""
LISTS = ("roles", "permissions")
"""Microsoft Entra ID and Auth0. Other systems use these names too, for values of any kind."""


class InvalidScopesError(ValueError):
    """`scope` or `scp` is neither a text nor a list of texts."""


def read_scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the union of the scopes in `scope`, `scp`, `roles` and `permissions`, if present.

    A text contains scopes separated by spaces, an item of a list is one scope. `roles` and `permissions` of another
    form than a list of texts are ignored; a `scope` or `scp` of another form raises InvalidScopesError.
    """
    scopes: set[str] = set()
    for name in TEXT_OR_LIST:
        value = claims.get(name, "")
        found = value.split() if isinstance(value, str) else value
        if not _are_texts(found):
            raise InvalidScopesError
        scopes.update(found)
    for name in LISTS:
        found = claims.get(name)
        if _are_texts(found):
            scopes.update(found)
    return frozenset(scopes)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
