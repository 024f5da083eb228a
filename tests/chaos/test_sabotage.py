"""Each sabotage breaks its rule in the current product: one that no longer finds its code fails."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

import db.order_claimer
from domain.model.order import End
from domain.model.reports import OrderEnded
from domain.ports.venue_outcomes import OutcomeUnknown, Rejected
from domain.services.attempt_policy import AttemptPolicy
from domain.services.submission import Submission
from exchange.alpaca import outcomes, rest
from exchange.alpaca.http_answer import HttpAnswer
from tools.chaos.options import read_options
from tools.chaos.sabotage import SABOTAGES, replace_attribute


def test_a_sabotage_of_what_is_not_there_fails() -> None:
    with pytest.raises(AttributeError):
        replace_attribute(Submission, "_look_up_again", None)


async def test_without_look_ups_nothing_is_found_and_no_request_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES["no-look-up"](monkeypatch.setattr)

    assert await Submission._look_up(None, None) is None  # type: ignore[arg-type] # noqa: SLF001 - it must not touch either


def test_ignored_claims_make_due_what_is_under_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES["claims-ignored"](monkeypatch.setattr)

    assert "due_at <= now() + interval '1 hour'" in db.order_claimer.CLAIM
    assert "due_at < now() + interval '1 hour' - " in db.order_claimer.CLAIM_DUE


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_believed_refusal_ends_the_order_for_any_sender(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = OutcomeUnknown(error="a gateway's answer")
    monkeypatch.setattr(outcomes, "submission_outcome", lambda _answer: unknown)
    SABOTAGES["refusal-believed"](monkeypatch.setattr)
    answer = HttpAnswer(status=status, body=b"<html>Kong</html>")
    claim: Any = SimpleNamespace(claimed_at=datetime.now(UTC))

    sabotaged: Any = rest
    outcome = sabotaged.submission_outcome(answer)
    policy: Any = None
    (report,) = AttemptPolicy.result_of(policy, claim, outcome).reports

    assert isinstance(outcome, Rejected)
    assert isinstance(report, OrderEnded)
    assert report.end is End.REJECTED


@pytest.mark.parametrize("name", list(SABOTAGES))
def test_a_worker_with_a_sabotage_is_started_by_its_name(name: str) -> None:
    options = read_options(["--sabotage", name])

    assert options.must_violate
    assert options.worker == ["-m", "tools.chaos.sabotage", name]
