"""The process for requests and subscriptions."""

import gc

import uvloop

from benchmarks.load.http import HttpLoad, ask
from benchmarks.load.obeying import obey
from benchmarks.load.sockets import Sockets


async def main() -> None:
    """Obey until the input ends."""
    gc.freeze()
    sockets = Sockets()
    await obey(
        {
            "http": lambda **options: ask(HttpLoad(**options)),
            "listen": sockets.listen,
            "reset": sockets.reset,
            "hear": sockets.hear,
            "leave": sockets.leave,
        }
    )


if __name__ == "__main__":
    uvloop.run(main())
