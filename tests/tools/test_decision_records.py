"""The decision records: one form for all, and links that lead to a record."""

import re
from pathlib import Path

import pytest

from tests.support.processes import ROOT

RECORDS = sorted((ROOT / "docs/decisions").glob("*.md"))
STATUS = re.compile(r"Status: (accepted|superseded by \[decision \d+\]\([^)]+\))\. Date: \d{4}-\d\d-\d\d\.")
SECTIONS = ["## Context", "## Options", "## Decision", "## Consequences"]
LINK = re.compile(r"\[(?:decision )?(\d+)\]\((?:[a-z/]*decisions/)?(\d{4})[^)]*\)")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem[:4])
def test_a_record_has_a_title_a_status_a_date_and_every_section(record: Path) -> None:
    title, status, *rest = [line for line in record.read_text().splitlines() if line]

    assert title.startswith("# ")
    assert STATUS.fullmatch(status)
    assert [line for line in rest if line.startswith("#")] == SECTIONS


def test_records_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("document", [*RECORDS, ROOT / "ARCHITECTURE.md", ROOT / "docs/performance.md"], ids=str)
def test_a_link_to_a_decision_names_its_number(document: Path) -> None:
    for number, file in LINK.findall(document.read_text()):
        assert int(number) == int(file), f"{document.name}: decision {number} leads to {file}"
