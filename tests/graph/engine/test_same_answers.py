"""Compiled operations answer as Strawberry does: same bytes, same errors in the same order, same effects."""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.graph.engine.both import is_covered, outcome
from tests.graph.engine.requests import COMPILING, PLAIN, Request, requests
from tests.graph.engine.scenarios import Scenario, scenarios

COVERED_AT_LEAST = 0.9


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_any_document_is_answered_alike_and_nearly_all_are_compiled(kind: str) -> None:
    counts: Counter[str] = Counter()

    @settings(suppress_health_check=list(HealthCheck))
    @given(requests(kind), scenarios)
    def check(request: Request, scenario: Scenario) -> None:
        theirs = runner.run(outcome(PLAIN, request, scenario))
        counts_it = theirs.has_run and request.may_be_compiled
        counts["run"] += counts_it
        counts["compiled"] += counts_it and runner.run(is_covered(request))

        assert runner.run(outcome(COMPILING, request, scenario)) == theirs

    with asyncio.Runner() as runner:
        check()
    assert counts["compiled"] >= COVERED_AT_LEAST * counts["run"], counts
