"""`./dev mutants`: every listed fault can be planted, and a trial shows whether the tests find it."""

import ast
from pathlib import Path

import pytest

from tools.mutants.mutant import Mutant, MutantError, chosen, load_mutants
from tools.mutants.trial import Verdict, copy_tree, try_mutant

ROOT = Path(__file__).parents[2]
MUTANTS = load_mutants()
by_name = pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])


@by_name
def test_each_fault_can_be_planted_in_its_file_and_leaves_it_readable(mutant: Mutant) -> None:
    planted = mutant.planted((ROOT / mutant.file).read_text())

    ast.parse(planted)


@by_name
def test_each_fault_has_its_effect_and_its_tests(mutant: Mutant) -> None:
    assert mutant.fault.endswith(".")
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.removeprefix("--deselect=").partition("::")
        assert (ROOT / file).exists(), test
        assert name in (ROOT / file).read_text() if name else True


def _mutant(**changes: object) -> Mutant:
    fields: dict[str, object] = {
        "name": "one-too-many",
        "fault": "It counts one too many.",
        "file": "counting.py",
        "text": "return number + 1",
        "becomes": "return number + 2",
        "tests": ("test_counting.py",),
    }
    return Mutant(**(fields | changes))  # type: ignore[arg-type] # a test changes any field


@pytest.mark.parametrize("text", ["return nothing", "number"])
def test_a_text_that_is_not_there_exactly_once_is_refused(text: str) -> None:
    with pytest.raises(MutantError, match="one-too-many: its text occurs"):
        _mutant(text=text).planted("def following(number): return number + 1")


def test_faults_are_chosen_by_the_beginning_of_their_names() -> None:
    mutants = [_mutant(name=name) for name in ("claims-a", "claims-b", "writes")]

    assert [one.name for one in chosen(mutants, ["claims"])] == ["claims-a", "claims-b"]
    assert len(chosen(mutants, [])) == 3
    with pytest.raises(MutantError, match="sweeps"):
        chosen(mutants, ["sweeps"])


def test_two_faults_of_one_name_are_refused(tmp_path: Path) -> None:
    row = '[[mutant]]\nname = "a"\nfault = "."\nfile = "a.py"\ntext = "a"\nbecomes = "b"\ntests = ["t.py"]\n'
    (tmp_path / "room.toml").write_text(row * 2)

    with pytest.raises(MutantError, match="same name: a"):
        load_mutants(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with one function and its test."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "counting.py").write_text("def following(number: int) -> int:\n    return number + 1\n")
    (tmp_path / "test_counting.py").write_text(
        "from counting import following\n\n\ndef test_it_counts():\n    assert following(1) == 2\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("becomes", "seconds", "verdict"),
    [
        ("return number + 2", 30, Verdict.KILLED),
        ("return 1 + number", 30, Verdict.SURVIVED),
        ("return number +", 30, Verdict.BROKEN),
        ("while True: pass", 2, Verdict.TIMED_OUT),
    ],
)
def test_a_trial_returns_the_outcome_of_the_fault_and_removes_it(
    tree: Path, becomes: str, seconds: float, verdict: Verdict
) -> None:
    source = (tree / "counting.py").read_text()

    trial = try_mutant(_mutant(becomes=becomes), tree, seconds=seconds)

    assert trial.verdict is verdict, trial.output
    assert trial.by == ("test_counting.py::test_it_counts" if verdict is Verdict.KILLED else "")
    assert (tree / "counting.py").read_text() == source


def test_a_copy_has_what_git_knows_and_what_is_new_and_shares_nothing_with_the_tree(tmp_path: Path) -> None:
    copy_tree(ROOT, tmp_path)

    assert (tmp_path / "tools/mutants/mutant.py").read_bytes() == (ROOT / "tools/mutants/mutant.py").read_bytes()
    assert (tmp_path / "dev").stat().st_mode & 0o111
    assert not (tmp_path / "tools/mutants/mutant.py").is_symlink()
    assert not (tmp_path / ".git").exists()
