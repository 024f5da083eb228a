"""`python -m tools.devstack up | watch | token | fillwire | reset`: the local stack's commands, behind `./dev`."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path

from tools.devstack.addresses import PROCESSES_MAX
from tools.devstack.errors import LocalStackError
from tools.devstack.folder import delete_folder, prepare_folder
from tools.devstack.identity import nobody_folder
from tools.devstack.operator_command import become_command
from tools.devstack.processes import ROOT
from tools.devstack.secret_files import read_secret_files
from tools.devstack.stack import up
from tools.devstack.tokens import DEMO_ACCOUNT, DEMO_SCOPES, TTL_SECONDS, checked_accounts, mint, signing_secret


def main() -> int:
    """Run the command of the command line; the exit code is 1 after a LocalStackError, printed without a traceback."""
    arguments = _parser().parse_args()
    folder = ROOT / (os.environ.get("LOCAL_DIR") or ".local")
    problems: list[str] = []
    try:
        _run(arguments, folder)
    except* LocalStackError as errors:
        problems = [str(error) for error in _leaves(errors)]
    for problem in dict.fromkeys(problems):
        print(f"dev: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _run(arguments: argparse.Namespace, folder: Path) -> None:
    read_secret_files(os.environ)
    if arguments.command == "up":
        asyncio.run(_run_until_signal(up(folder, apis=arguments.api, workers=arguments.workers)))
    elif arguments.command == "watch":
        from tools.devstack.watch import watch  # noqa: PLC0415  # Importing the client library takes half a second.

        asyncio.run(_run_until_signal(watch(folder, account=arguments.account)))
    elif arguments.command == "fillwire":
        become_command(folder, arguments.arguments)
    elif arguments.command == "token":
        prepare_folder(folder)
        scopes = [scope for scope in arguments.scopes.replace(",", " ").split() if scope]
        accounts = checked_accounts(arguments.account or [DEMO_ACCOUNT])
        print(mint(secret=signing_secret(folder), accounts=accounts, scopes=scopes, ttl_seconds=arguments.ttl))
    else:
        _reset(folder)


async def _run_until_signal(work: Coroutine[None, None, None]) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; further signals do not interrupt the stop."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    is_stopping = False

    def stop() -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _reset(folder: Path) -> None:
    deleted = delete_folder(folder)
    other = nobody_folder(folder)
    if other.is_dir() and not other.is_symlink():
        shutil.rmtree(other)
    print(f"deleted {folder}" if deleted else f"nothing to delete: there is no {folder}")


def _leaves(group: BaseExceptionGroup[LocalStackError]) -> Iterator[LocalStackError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything on this machine; Ctrl-C stops it")
    start.add_argument("--api", type=_count, default=1, metavar="N", help="API processes (1)")
    start.add_argument("--workers", type=_count, default=1, metavar="N", help="worker processes (1)")
    follow = commands.add_parser("watch", help="follow the changes of an account's orders")
    follow.add_argument("--account", metavar="A", help=f"the account ({DEMO_ACCOUNT})")
    token = commands.add_parser("token", help="print a development token")
    token.add_argument(
        "--account", action="append", metavar="A", help=f"an account it acts for; again for several ({DEMO_ACCOUNT})"
    )
    token.add_argument("--scopes", default=",".join(DEMO_SCOPES), help=f"separated by commas ({','.join(DEMO_SCOPES)})")
    token.add_argument(
        "--ttl", type=int, default=TTL_SECONDS, metavar="SECONDS", help=f"how long it is valid ({TTL_SECONDS})"
    )
    operate = commands.add_parser("fillwire", help="run an operator's command")
    operate.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("reset", help="delete the local data folder")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= PROCESSES_MAX):
        raise argparse.ArgumentTypeError(f"a number from 1 to {PROCESSES_MAX}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
