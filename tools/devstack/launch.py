"""Replaces itself by a program that is killed with its parent, and that does not run as root if it refuses to.

Run as a script by `running.launch_command`, in isolated mode: only the standard library is available. A separate
program, not a function between fork and exec, because forking a process that has threads can deadlock (Python 3.12
warns of it).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY_ID = 65534
CANNOT_BECOME = 97


def main(arguments: list[str]) -> None:
    """Run `PARENT_PID SIGNAL IDENTITY PROGRAM…`; exit with 97 when the identity is refused or nothing can run."""
    parent, death_signal, identity, *program = arguments
    # Python ignores SIGPIPE and raises on SIGINT; the program gets the defaults, as from a shell.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        become(identity)
        die_with_parent(int(parent), signal.Signals(int(death_signal)))
        os.execv(program[0], program)  # noqa: S606  # No shell is wanted: the arguments are passed unchanged.
    except OSError as error:
        print(f"cannot start {program[0]} as {identity!r}: {error}", file=sys.stderr)
        raise SystemExit(CANNOT_BECOME) from error


def become(identity: str) -> None:
    """Assume the identity `own` (no change), `mapped` (nobody inside a new user namespace) or `nobody` (the
    account).
    """
    if identity == "mapped":
        map_to_nobody()
    elif identity == "nobody":
        os.setgroups([])
        os.setgid(NOBODY_ID)
        os.setuid(NOBODY_ID)


def map_to_nobody() -> None:
    """Map this user to nobody in a new user namespace; the file system still sees the real user.

    Raises OSError where seccomp (a container) or AppArmor forbids user namespaces.
    """
    user, group = os.geteuid(), os.getegid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no user namespace: {os.strerror(number)}")
    for name, text in (
        ("setgroups", "deny"),  # The kernel accepts an unprivileged gid_map only after this.
        ("uid_map", f"{NOBODY_ID} {user} 1"),
        ("gid_map", f"{NOBODY_ID} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  # pathlib costs 10 ms a start.
            file.write(text)


def die_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """Request a signal from the kernel at the parent's end; systems other than Linux do not have it.

    Called after `become`, since a change of identity clears it.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:
        # The parent ended before the call.
        raise SystemExit(CANNOT_BECOME)


if __name__ == "__main__":
    main(sys.argv[1:])
