"""A text that goes out to many sockets as it is, and how several of them are handed to the server at once."""

from typing import Self

SHARED_TEXTS = "fillwire.texts"
"""An extension of ASGI, named in the scope of a server that has it: a message `websocket.send` whose `texts` are the
texts of several websocket messages, all SharedTexts, to be sent in order and by one write."""


class SharedText(str):
    """A message for many. `frame` is what the socket's server sends for it, once one of them has made it: a frame that
    is not masked or compressed (RFC 6455, 5.1) is the same for every peer."""

    __slots__ = ("frame",)
    frame: bytes | None

    def __new__(cls, text: str) -> Self:
        """The text, of which no frame was made yet."""
        shared = super().__new__(cls, text)
        shared.frame = None
        return shared
