"""`fillwire …`, or `python -m runtime …`: each process, and the operators' commands. `--help` lists them.

A process's modules are imported only when it is started: it loads only what it runs.
"""

import argparse
import gc
import sys
from importlib import import_module
from pathlib import Path

from runtime.commands.closed_output import run_until_output_closes
from runtime.commands.operator_arguments import add_operators_commands
from runtime.processes.lifecycle import run_process

PROCESSES = {
    "api": "serve GraphQL on PORT",
    "worker": "place and cancel orders at the exchange",
    "ingest": "follow the exchange's execution stream",
    "exchange": "run the simulated exchange on EXCHANGE_PORT",
    "migrate": "bring the database's tables and roles up to date, then end",
}


def main(*, program: str = "fillwire") -> int:
    """Run the command of the command line and return its exit code; `program` is what the usage calls it."""
    parsed = _parser(program).parse_args()
    if parsed.command not in PROCESSES or (parsed.command == "migrate" and parsed.print_roles):
        return run_until_output_closes(lambda: _run_command(parsed))
    gc.disable()  # Until it runs: imports create no garbage, and collections take a seventh of a start.
    module = import_module(f"runtime.processes.{parsed.command}")
    return run_process(parsed.command, module.run, requires=module.REQUIRES)


def _run_command(parsed: argparse.Namespace) -> int:
    """Run what is not a process: it prints, and ends."""
    if parsed.command == "settings":
        return int(import_module("runtime.commands.settings_table").show())
    if parsed.command == "migrate":
        return int(import_module("runtime.commands.role_script").show())
    if parsed.command == "alerts":
        return int(import_module("runtime.commands.alerts").test())
    if parsed.command == "instruments":
        module = import_module("runtime.commands.instruments")
        run = module.sync if parsed.action == "sync" else module.importing(parsed.file)
        return run_process("instruments", run, requires=module.REQUIRES)
    if parsed.command in {"audit", "orders"}:
        return int(import_module(f"runtime.commands.{parsed.command}").run(parsed))
    module = import_module("runtime.commands.operator_commands")
    return run_process(parsed.command, module.command(parsed), requires=module.REQUIRES)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="One process of Fillwire.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: commands.add_parser(name, help=text, description=text) for name, text in PROCESSES.items()}
    parsers["migrate"].add_argument(
        "--print-roles", action="store_true", help="print the SQL that makes the database's roles, and do nothing else"
    )
    commands.add_parser("settings", help="print every setting with its unit, default and current value")
    instruments = commands.add_parser("instruments", help="load what can be traded")
    actions = instruments.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("sync", help="read the venue's assets that have an ISIN")
    importing = actions.add_parser("import", help="add instruments from a CSV file")
    importing.add_argument(
        "file", type=Path, help="columns: isin, symbol, name, currency, tick_size, lot_size, tradable"
    )
    alerts = commands.add_parser("alerts", help="test the channels of ALERT_URLS")
    testing = alerts.add_subparsers(dest="action", required=True, metavar="ACTION")
    sends = "send a test message to every channel of ALERT_URLS; exit code 1 when one failed"
    testing.add_parser("test", help=sends, description=sends)
    add_operators_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main(program="python -m runtime"))
