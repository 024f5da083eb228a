"""`./dev bench`: runs the stages, prints their tables, writes JSON and a chart, and compares with the stored ratios."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import orjson

from benchmarks.frame import expected
from benchmarks.frame.bench import Bench, open_bench
from benchmarks.frame.machine import describe_machine
from benchmarks.frame.plot import draw
from benchmarks.frame.results import StageResult
from benchmarks.frame.tables import show

STAGES = {
    "accept": "placeOrder over HTTP, durable",
    "outage": "placeOrder with the exchange down, hanging, refusing",
    "place": "orders to the exchange by one worker",
    "record": "executions from the stream to committed and published",
    "deliver": "changes to subscribers of one process",
    "end_to_end": "execution to subscriber's frame, through everything",
    "read": "an order, a page of orders, few and many stored",
    "catch_up": "executions that the stream missed",
    "growth": "what a unit costs at 1, 10 and 100 times the work",
    "abuse": "a regular client during attacks of every kind",
    "soak": "everything at a steady rate for long: nothing grows, nothing slows down",
}
ONLY_BY_NAME = ("growth", "soak")
CHECKED = ("accept", "place", "record", "deliver")
"""The stages of a run without names that compares: those whose short form fits into CI together."""
ROUNDS, SECONDS = 3, 0.7
SHORT_ROUNDS, SHORT_SECONDS = 3, 0.6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected stages; return 1 when a ratio has become worse than the stored one."""
    options = _parser().parse_args(arguments)
    return asyncio.run(run(options))


async def run(options: argparse.Namespace) -> int:
    """Run the stages one after the other."""
    names = options.stages or (CHECKED if options.check else [name for name in STAGES if name not in ONLY_BY_NAME])
    form = "short" if options.short or options.check else "full"
    results: dict[str, StageResult] = {}
    worse: list[expected.Worse] = []
    with tempfile.TemporaryDirectory(prefix="fillwire-bench-") as folder:
        async with open_bench(
            rounds=options.rounds or (SHORT_ROUNDS if form == "short" else ROUNDS),
            seconds=options.seconds or (SHORT_SECONDS if form == "short" else SECONDS),
            is_short=form == "short",
            folder=Path(folder),
        ) as bench:
            for name in names:
                results[name] = await measure(bench, name)
                if options.check:
                    worse += await _confirmed(bench, name, results, form=form)
    _write(results, form=form, folder=options.output)
    if options.keep:
        expected.keep(results, form=form)
        print(f"Stored in {expected.FILE.name}.")
    for one in worse:
        print(f"WORSE {one}")
    return 1 if worse else 0


async def measure(bench: Bench, name: str) -> StageResult:
    """Measure one stage and print it."""
    began = time.monotonic()
    stage = import_module(f"benchmarks.{name}")
    result: StageResult = await stage.measure(bench)
    show(name, result)
    print(f"\n{name} took {time.monotonic() - began:.0f} s.")
    return result


async def _confirmed(
    bench: Bench, name: str, results: dict[str, StageResult], *, form: str
) -> Sequence[expected.Worse]:
    """Return the ratios that are worse twice in a row: once may be other load on the machine."""
    first = list(expected.compare(name, results[name], form=form))
    if not first:
        return ()
    print(f"\nOnce more, since {len(first)} of its ratios seem worse than the stored ones.")
    results[name] = await measure(bench, name)
    suspects = {one.ratio.name for one in first}
    return [one for one in expected.compare(name, results[name], form=form) if one.ratio.name in suspects]


def _write(results: dict[str, StageResult], *, form: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    for name, result in results.items():
        content = {"stage": name, "form": form, "machine": machine, **asdict(result)}
        (folder / f"{name}.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    (folder / "ratios.svg").write_text(draw(results), encoding="utf-8")
    print(f"\nWritten to {folder}: {', '.join(f'{name}.json' for name in results)}, ratios.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures every stage compared with its limit.")
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], metavar="NAME", help=", ".join(STAGES))
    parser.add_argument("--rounds", type=int, help=f"how often each contender is measured ({ROUNDS})")
    parser.add_argument("--seconds", type=float, help=f"how long each time ({SECONDS:g})")
    parser.add_argument("--short", action="store_true", help="the least work that shows the ratios")
    parser.add_argument("--check", action="store_true", help="the short form; exit code 1 when a ratio became worse")
    parser.add_argument("--keep", action="store_true", help="keep the ratios in the repository")
    parser.add_argument("--output", type=Path, default=Path(".local/bench"), help="folder of the files (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
