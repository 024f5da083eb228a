"""Server that starts Fillwire's processes without their imports: it has imported everything, and forks for each.

A separate program (`python -m tests.support.warm_server`) with one thread, so that a fork is safe. It receives requests
on a socket, its standard input, and answers with the pid of each started process and with the exit code of each ended
one. A forked process continues like `python -m runtime ARGUMENTS…`, with the environment and the output of the request.
The server ends when the socket is closed, or is killed with the test run; then its processes are killed.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from runtime.__main__ import PROCESSES, main
from tools.devstack.launch import die_with_parent

MESSAGE_MAX_BYTES = 100_000
IMPORTED = (
    *(f"runtime.processes.{name}" for name in PROCESSES),
    *(f"runtime.commands.{name}" for name in ("audit", "instruments", "operator_commands", "orders")),
)


def serve() -> list[str]:
    """Fork for each request until the socket is closed; return only in what was forked, with its arguments."""
    connection = socket.socket(fileno=0)
    awoken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([connection, awoken], [], [])
        if awoken in readable:
            awoken.recv(100)
            _tell_ends(connection)
        if connection in readable:
            message, files, _, _ = socket.recv_fds(connection, MESSAGE_MAX_BYTES, 1)
            if not message:
                sys.exit()
            request = json.loads(message)
            server, started = os.getpid(), os.fork()
            if started == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for ours in (awoken, wake):
                    ours.close()
                connection.detach()
                return _begin(request, server=server, output=files[0])
            os.close(files[0])
            connection.send(json.dumps({"request": request["number"], "pid": started}).encode())


def _tell_ends(connection: socket.socket) -> None:
    """Report each process that has ended since the last call."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        connection.send(json.dumps({"pid": ended, "code": os.waitstatus_to_exitcode(status)}).encode())


def _begin(request: dict[str, Any], *, server: int, output: int) -> list[str]:
    """Set up a started process: a session, an environment, standard streams."""
    os.setsid()
    die_with_parent(server, signal.SIGKILL)
    for file in (1, 2):
        os.dup2(output, file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    arguments: list[str] = request["arguments"]
    return arguments


if __name__ == "__main__":
    gc.disable()
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    sys.argv[1:] = serve()
    sys.exit(main(program="python -m runtime"))
