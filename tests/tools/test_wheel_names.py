"""The check of an installed wheel's names."""

from tests.support.processes import ROOT
from tools.checks.wheel_names import problems_of_packages, shipped_packages

OWNERS = {"domain": ["fillwire", "fillwire"], "graph": ["fillwire"], "redis": ["redis"]}
FILES = ("domain/py.typed", "domain/model/order.py", "graph/py.typed")


def test_a_wheel_that_exclusively_owns_its_typed_packages_has_no_problem() -> None:
    assert list(problems_of_packages(["domain", "graph"], owners=OWNERS, files=FILES)) == []


def test_a_package_that_another_distribution_owns_too_is_named() -> None:
    owners = OWNERS | {"domain": ["fillwire", "other"]}

    problems = list(problems_of_packages(["domain", "graph"], owners=owners, files=FILES))

    assert problems == ["domain belongs to fillwire, other, not to fillwire alone"]


def test_a_package_that_was_left_out_of_the_wheel_is_named() -> None:
    problems = list(problems_of_packages(["domain", "graph", "jobs"], owners=OWNERS, files=FILES))

    assert problems == ["jobs belongs to no distribution, not to fillwire alone", "jobs has no py.typed"]


def test_a_package_that_is_not_meant_to_be_shipped_is_named() -> None:
    problems = list(problems_of_packages(["domain"], owners=OWNERS, files=FILES))

    assert problems == ["graph is installed by fillwire, pyproject.toml does not name it"]


def test_every_package_of_the_tree_that_is_shipped_is_typed() -> None:
    assert [name for name in shipped_packages(ROOT) if not (ROOT / name / "py.typed").is_file()] == []
