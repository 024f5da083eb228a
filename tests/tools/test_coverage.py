"""What `./dev test --cov` prints of coverage.py's report."""

from typing import Any

from tools.coverage import lines_of


def report(total: float, **percent: float) -> dict[str, Any]:
    files = {f"{name}.py": {"summary": {"percent_covered": value}} for name, value in percent.items()}
    return {"files": files, "totals": {"percent_covered": total}}


def test_files_under_85_percent_are_named_the_least_covered_first_and_then_the_whole() -> None:
    assert list(lines_of(report(91.26, full=100.0, edge=85.0, low=84.94, least=3.0))) == [
        "  3.0 %  least.py",
        " 84.9 %  low.py",
        " 91.3 %  of statements and branches, 4 files",
    ]
