"""Plants each listed fault, runs the tests that should find it, and prints which survived."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tools.mutants.mutant import Mutant, MutantError, chosen, load_mutants
from tools.mutants.trial import PASSED, Trial, Verdict, copy_tree, run_tests, try_mutant

ROOT = Path(__file__).parents[2]
OUTPUT_SHOWN_LINES = 12
TESTS_FAIL = 2


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 0 when every fault was found, 1 when one was not, 2 when none could be tried."""
    options = _options(arguments)
    try:
        mutants = chosen(load_mutants(), options.names)
    except MutantError as error:
        print(f"dev mutants: {error}", file=sys.stderr)
        return TESTS_FAIL
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name}\n    {mutant.fault}\n    {mutant.file}; {' '.join(mutant.tests)}")
        return 0
    began = time.monotonic()
    with TemporaryDirectory(prefix="fillwire-mutants-") as folder:
        trees = SimpleQueue[Path]()
        for number in range(min(options.at_once, len(mutants))):
            tree = Path(folder) / str(number)
            copy_tree(ROOT, tree)
            trees.put(tree)
        if not options.no_baseline and not _passes_without_faults(mutants, trees, seconds=options.seconds):
            return TESTS_FAIL
        with ThreadPoolExecutor(options.at_once) as pool:
            trials = list(pool.map(_trying(trees, options.seconds), mutants))
    return _report(trials, seconds=time.monotonic() - began)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a fault's name, or the beginning of names; all")
    parser.add_argument("--list", action="store_true", help="print the faults, and try none")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the tests of one fault may take (120)")
    parser.add_argument(
        "--at-once", type=int, default=os.cpu_count() or 1, help="how many are tried at once (the number of cores)"
    )
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without a fault first")
    return parser.parse_args(arguments)


def _passes_without_faults(mutants: Sequence[Mutant], trees: SimpleQueue[Path], *, seconds: float) -> bool:
    """Return whether the tests pass without a fault: otherwise their failure with one proves nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    tree = trees.get()
    run = run_tests(tree, tests, seconds=seconds * max(1, len(mutants) // 4))
    trees.put(tree)
    if run.code != PASSED:
        print(f"The tests fail without a fault, so nothing was tried.\n{_tail(run.output)}", file=sys.stderr)
    return run.code == PASSED


def _trying(trees: SimpleQueue[Path], seconds: float) -> Callable[[Mutant], Trial]:
    def try_one(mutant: Mutant) -> Trial:
        tree = trees.get()
        try:
            trial = try_mutant(mutant, tree, seconds=seconds)
        except MutantError as error:
            trial = Trial(mutant=mutant, verdict=Verdict.BROKEN, seconds=0, output=str(error))
        finally:
            trees.put(tree)
        print(f"{trial.verdict.value:<9} {trial.seconds:5.1f} s  {mutant.name}  {trial.by}", flush=True)
        return trial

    return try_one


def _report(trials: Sequence[Trial], *, seconds: float) -> int:
    """Print what no test found, and the sum; return the exit code."""
    alive = [trial for trial in trials if trial.verdict is not Verdict.KILLED]
    for trial in alive:
        mutant = trial.mutant
        print(f"\n{trial.verdict.value}: {mutant.name}: {mutant.fault}\n{mutant.file}\n- {mutant.text.strip()}")
        print(f"+ {mutant.becomes.strip()}\ntests: {' '.join(mutant.tests)}\n{_tail(trial.output)}")
    print(f"\n{len(trials) - len(alive)} of {len(trials)} faults killed, in {seconds:.0f} s")
    return 1 if alive else 0


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-OUTPUT_SHOWN_LINES:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
