"""An address whose packets are dropped, like a host disconnected from the network."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

WAITING_MAX = 3


@contextmanager
def dropping_port() -> Iterator[int]:
    """Return a port at which a connection is neither made nor refused: the kernel drops the packets of new ones."""
    with ExitStack() as stack:
        listening = stack.enter_context(closing(socket.socket()))
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        # No server accepts, and these fill the queue.
        for _ in range(WAITING_MAX):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        yield listening.getsockname()[1]
