"""The list of faults: one TOML file for each room of the product, in `faults/`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAULTS = Path(__file__).parent / "faults"


class MutantError(Exception):
    """A fault that cannot be planted, or an unknown name; the message has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault: in `file` the `text`, which occurs there once, is replaced by `becomes`. `tests` are arguments of
    pytest that must fail with it; `fault` describes its effect on Fillwire.
    """

    name: str
    fault: str
    file: str
    text: str
    becomes: str
    tests: tuple[str, ...]

    def planted(self, source: str) -> str:
        """Return the file's text with the fault. Raises MutantError unless the text occurs exactly once."""
        count = source.count(self.text)
        if count != 1:
            raise MutantError(f"{self.name}: its text occurs {count} times in {self.file}, and must occur once")
        if self.becomes == self.text:
            raise MutantError(f"{self.name}: changes nothing")
        return source.replace(self.text, self.becomes)


def load_mutants(folder: Path = FAULTS) -> Sequence[Mutant]:
    """Return all faults, by file and in their order there. Raises MutantError for two of one name."""
    mutants = [_mutant(row) for path in sorted(folder.glob("*.toml")) for row in _rows(path)]
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MutantError(f"two faults have the same name: {', '.join(twice)}")
    return mutants


def chosen(mutants: Sequence[Mutant], names: Sequence[str]) -> Sequence[Mutant]:
    """Return those whose name is one of `names` or begins with one of them; all when there are none."""
    unknown = [name for name in names if not any(mutant.name.startswith(name) for mutant in mutants)]
    if unknown:
        raise MutantError(f"no fault has this name: {', '.join(unknown)}. See ./dev mutants --list")
    return [mutant for mutant in mutants if not names or any(mutant.name.startswith(name) for name in names)]


def _rows(path: Path) -> Sequence[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text())["mutant"]
    return rows


def _mutant(row: dict[str, Any]) -> Mutant:
    return Mutant(**{**row, "tests": tuple(row["tests"])})
