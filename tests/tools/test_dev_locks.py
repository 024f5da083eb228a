"""The check of the lock files, and the project's own."""

import pytest

from tests.support.processes import ROOT
from tools.checks.locks import find_problems, problems_of_lock

HASH = " \\\n    --hash=sha256:00"


def test_the_projects_locks_match_its_requirements() -> None:
    assert list(find_problems(ROOT)) == []


def test_a_whole_lock_has_no_problem() -> None:
    lock = f"redis==7.4.1{HASH} \\\n    --hash=sha256:11\nuvloop==0.23.0 ; sys_platform != 'win32'{HASH}\n"

    assert list(problems_of_lock(lock, ["Redis[hiredis]>=7.4,<8", "uvloop>=0.23; sys_platform != 'win32'"])) == []


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        (f"redis==8.1.0{HASH}\n", "redis is 8.1.0, pyproject.toml asks for <8,>=7.4"),
        (f"saq==0.26.4{HASH}\n", "redis is missing, which pyproject.toml asks for"),
        ("redis==7.4.1\n", "redis has no hash"),
        (f"redis>=7.4{HASH}\n", "redis is not pinned to one version"),
        (f"--index-url https://packages.example/simple\nredis==7.4.1{HASH}\n", "line 1 names a host"),
        (f"redis==7.4.1{HASH}\n--find-links wheels\n", "line 3 names a host"),
        (f"redis==7.4.1{HASH}\nsaq @ https://packages.example/saq.whl\n", "line 3 names a host"),
    ],
)
def test_each_flaw_of_a_lock_is_named(lock: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems_of_lock(lock, ["redis[hiredis]>=7.4,<8"]))
