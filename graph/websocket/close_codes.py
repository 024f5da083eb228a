"""Why a socket is closed: the codes of graphql-transport-ws (graphql-ws, PROTOCOL.md) and ours; what ends a token."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum

from graph.auth.tokens import EndedTokenError, InvalidTokenError, MissingTokenError


class CloseCode(IntEnum):
    """The code of a close frame. After UNAUTHORIZED clients stop; after TOKEN_ENDED they reconnect with their next
    token.
    """

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4401
    TOKEN_ENDED = 4403
    INIT_TIMEOUT = 4408
    ID_IN_USE = 4409
    TOO_MANY_INITS = 4429
    INTERNAL_ERROR = 4500


class TokenEnd(StrEnum):
    """The reason why the token of an open socket is no longer valid; the metric's label."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    KEY_GONE = "key_gone"


TOKEN_END_REASONS: Mapping[TokenEnd, str] = {
    TokenEnd.EXPIRED: "The token has expired",
    TokenEnd.REVOKED: "The token was revoked",
    TokenEnd.KEY_GONE: "The key of the token is in force no more",
}
"""The reasons in the close frames."""


def unauthorized_reason(refusal: InvalidTokenError) -> str:
    """Return what was expected of connection_init, for the close frame (123 bytes)."""
    match refusal:
        case MissingTokenError():
            return 'Unauthorized: connection_init needs the payload {"Authorization": "Bearer <token>"}'
        case EndedTokenError():
            return "Unauthorized: the token in connection_init has expired or was revoked; send a new one"
    return "Unauthorized: the token in connection_init is not valid"
