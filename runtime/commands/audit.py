"""`fillwire audit verify | export`: check the audit trail, and write it as JSON lines for another machine."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from time import monotonic
from typing import TextIO

import orjson

from db.audit_trail import PostgresAuditTrail
from domain.model.audit_chain import ChainHead
from domain.model.audit_records import Chain, Record
from domain.model.audit_verification import Finding, FindingKind, TrailVerifier, read_heads
from domain.model.errors import FillwireError
from domain.model.operator_actions import moment_text
from runtime.commands.closed_output import is_closed_output
from runtime.processes.lifecycle import EXIT_FAILED, Process, ProcessMain, run_process, utc_now
from runtime.resources.database import open_database

REQUIRES = ("database_url",)
FORMAT = "fillwire/audit-export/1"
PROGRESS_EVERY_SECONDS = 5.0
EXIT_NOT_VERIFIED = 3
"""Nothing was found, and not everything could be looked at. 1 is kept for what is wrong with the trail."""


class TrailBrokenError(FillwireError):
    """Something was found that is wrong with the trail."""


class UnreadableFileError(FillwireError):
    """A line of a file is not a record of an export."""


class UnknownAccountError(FillwireError):
    """The trail has no entry of the account."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"The audit trail holds nothing of {account_id}: is that the account's id?")


def run(parsed: argparse.Namespace) -> int:
    """Run `verify` or `export` and return the exit code; of `verify`: 1 for a finding in the trail,
    EXIT_NOT_VERIFIED without a finding when not everything could be read.
    """
    output = sys.stdout
    if parsed.action == "export":
        return _run(_exporting(parsed, output))
    report = _Report(output, as_json=parsed.json)
    exit_code = _verify_file(parsed, report) if parsed.file is not None else _run(_verifying(parsed, report))
    if report.findings:
        return EXIT_FAILED
    return EXIT_NOT_VERIFIED if exit_code == EXIT_FAILED else exit_code


def _run(main: ProcessMain) -> int:
    """Run it as a process. Its output is for other programs: the log is written to stderr."""
    with redirect_stdout(sys.stderr):
        try:
            return run_process("audit", main, requires=REQUIRES)
        except Exception as error:
            if is_closed_output(error):
                raise
            # What the interpreter would do, but for its exit code.
            sys.excepthook(type(error), error, error.__traceback__)
            return EXIT_FAILED


def _verify_file(parsed: argparse.Namespace, report: "_Report") -> int:
    """Verify an exported file, without a database."""
    try:
        verifier = TrailVerifier(exported=_exported_heads(parsed.heads))
        for record in _read_records(parsed.file):
            report.add(_taken(verifier, record))
            report.show_progress(verifier)
    except UnreadableFileError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return EXIT_FAILED
    report.add(verifier.finish())
    report.finish(verifier)
    return 0


def _verifying(parsed: argparse.Namespace, report: "_Report") -> ProcessMain:
    async def run(process: Process) -> None:
        exported = _exported_heads(parsed.heads)
        if parsed.account is not None:
            exported = {chain: heads for chain, heads in exported.items() if chain == parsed.account}
        verifier = TrailVerifier(exported=exported)
        async with open_database(process) as database:
            trail = PostgresAuditTrail(database.database)
            if not exported:  # An account whose head was exported must be there.
                await _require_known(trail, parsed.account)
            async for record in trail.records(account_id=parsed.account, since=parsed.since):
                report.add(verifier.take(record))
                report.show_progress(verifier)
        report.add(verifier.finish())
        report.finish(verifier)
        if report.findings:
            raise TrailBrokenError(f"The audit trail is broken in {report.findings} places.")

    return run


async def _require_known(trail: PostgresAuditTrail, account_id: str | None) -> None:
    if account_id is not None and not await trail.is_known(account_id):
        raise UnknownAccountError(account_id)


def _exporting(parsed: argparse.Namespace, stdout: TextIO) -> ProcessMain:
    async def run(process: Process) -> None:
        async with open_database(process) as database:
            trail = PostgresAuditTrail(database.database)
            await _require_known(trail, parsed.account)
            with _opened(parsed.output, stdout) as output:
                records = (
                    trail.heads(account_id=parsed.account)
                    if parsed.heads
                    else trail.records(account_id=parsed.account, since=parsed.since)
                )
                await _write(records, output)

    return run


async def _write(records: AsyncIterator[Record], output: TextIO) -> None:
    written, shown_at = 0, monotonic()
    output.write(_line({"type": "export", "format": FORMAT, "exported_at": moment_text(utc_now())}))
    async for record in records:
        output.write(_line(record))
        written += 1
        if monotonic() - shown_at > PROGRESS_EVERY_SECONDS:
            shown_at = monotonic()
            print(f"{written} records written", file=sys.stderr)  # noqa: T201 - a command's output


@contextmanager
def _opened(path: Path | None, stdout: TextIO) -> Iterator[TextIO]:
    """Open the file, readable only by its owner, or yield stdout. The file gets its name only once it is complete."""
    if path is None:
        yield stdout
        stdout.flush()
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with open(unfinished, "x", encoding="utf-8", opener=_private) as output:
            yield output
        unfinished.replace(path)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _line(record: Record) -> str:
    return orjson.dumps(record).decode() + "\n"


def _exported_heads(paths: Sequence[Path] | None) -> Mapping[Chain, Sequence[ChainHead]]:
    heads: dict[Chain, list[ChainHead]] = {}
    for path in paths or ():
        try:
            for chain, found in read_heads(_read_records(path)).items():
                heads.setdefault(chain, []).extend(found)
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableFileError(f"{path} has a head that cannot be read: {error!r}") from None
    return heads


def _read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a file, `-` for stdin. Raises UnreadableFileError."""
    number = 1
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                record = orjson.loads(line)
                if not isinstance(record, dict) or "type" not in record:
                    raise UnreadableFileError(f"{path}, line {number} is no record of an export")
                yield record
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error}") from None
    except orjson.JSONDecodeError:
        raise UnreadableFileError(f"{path}, line {number} is not JSON: is the file complete?") from None


def _taken(verifier: TrailVerifier, record: Record) -> Iterator[Finding]:
    """Yield the findings of a record of a file, which may hold anything."""
    try:
        yield from verifier.take(record)
    except (ValueError, KeyError, TypeError):
        yield Finding(kind=FindingKind.UNREADABLE, account_id=None, first=verifier.links, last=verifier.links)


class _Report:
    """Prints findings as they are found, and a summary; progress is written to stderr."""

    def __init__(self, output: TextIO, *, as_json: bool) -> None:
        self.findings = 0
        self._output = output
        self._as_json = as_json
        self._shown_at = monotonic()

    def add(self, findings: Iterator[Finding]) -> None:
        """Print the findings."""
        for finding in findings:
            self.findings += 1
            self._print(
                str(finding),
                {
                    "finding": finding.kind,
                    "account": finding.account_id,
                    "first": finding.first,
                    "last": finding.last,
                },
            )

    def show_progress(self, verifier: TrailVerifier) -> None:
        """Print the progress, every few seconds."""
        if monotonic() - self._shown_at > PROGRESS_EVERY_SECONDS:
            self._shown_at = monotonic()
            print(f"Links verified: {verifier.links}, chains: {verifier.chains}", file=sys.stderr)  # noqa: T201 - a command's output

    def finish(self, verifier: TrailVerifier) -> None:
        """Print the summary."""
        text = f"Links verified: {verifier.links}, chains: {verifier.chains}, findings: {self.findings}"
        self._print(text, {"links": verifier.links, "chains": verifier.chains, "findings": self.findings})

    def _print(self, text: str, values: Mapping[str, object]) -> None:
        self._output.write((json.dumps(values) if self._as_json else text) + "\n")
        self._output.flush()
