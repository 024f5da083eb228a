"""A text that is sent unchanged to many sockets, and how several of them are passed to the server together."""

from typing import Self

SHARED_TEXTS = "fillwire.texts"
"""An extension of ASGI, named in the scope of a server that has it: a message `websocket.send` whose `texts` are the
texts of several websocket messages, all SharedTexts, to be sent in order and by one write."""


class SharedText(str):
    """A message for many sockets. `frame` is the socket server's frame, once one of them has made it: a frame that
    is not masked or compressed (RFC 6455, 5.1) is the same for every client.
    """

    __slots__ = ("frame",)
    frame: bytes | None

    def __new__(cls, text: str) -> Self:
        """Create the text, without a frame."""
        shared = super().__new__(cls, text)
        shared.frame = None
        return shared
