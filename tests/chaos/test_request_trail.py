"""The exchange's log of requests, read on page by page and over restarts."""

from typing import Any

from tools.chaos.request_trail import RequestTrail

Json = dict[str, Any]
SUBMISSION = {"method": "POST", "path": "/v2/orders", "client_order_id": "o-1", "is_scripted": False}
LOOK_UP = SUBMISSION | {"method": "GET", "path": "/v2/orders:by_client_order_id"}


def _row(number: int, request: Json, *, status: int | None = 200, second: int = 0, **changed: Any) -> Json:
    at = f"2026-11-30T12:00:{second:02}.000001Z"
    return request | {"number": number, "at": at, "status": status} | changed


def _page(*rows: Json, first: int = 1, is_complete: bool = True) -> Json:
    return {"requests": list(rows), "first": first, "is_complete": is_complete}


def test_only_submissions_and_look_ups_of_an_order_are_recorded() -> None:
    trail = RequestTrail()
    cancel = _row(3, SUBMISSION, method="DELETE", path="/v2/orders/v-1", client_order_id=None)
    page = _page(_row(1, SUBMISSION), _row(2, LOOK_UP), cancel, _row(4, SUBMISSION, client_order_id=None))

    assert trail.take(page)

    assert [(each.order_id, each.is_submission) for each in trail.requests] == [("o-1", True), ("o-1", False)]
    assert trail.requests[0].at == 1_796_040_000.000001


def test_only_the_exchanges_own_404_shows_absence() -> None:
    trail = RequestTrail()
    rows = [
        _row(1, LOOK_UP, status=404),
        _row(2, LOOK_UP, status=404, is_scripted=True),
        _row(3, LOOK_UP, status=200),
        _row(4, LOOK_UP, status=503),
        _row(5, SUBMISSION, status=404),
    ]

    trail.take(_page(*rows))

    assert [each.shows_absence for each in trail.requests] == [True, False, False, False, False]
    assert trail.scripted == {"look-ups": 1}


def test_a_request_without_an_answer_is_read_again_until_it_is_old_or_the_log_ends() -> None:
    young, later = _row(1, LOOK_UP, status=None), _row(2, SUBMISSION, second=4)

    waiting, old, ended = RequestTrail(), RequestTrail(), RequestTrail()
    assert waiting.take(_page(young, later))
    assert not waiting.requests
    waiting.take(_page(young | {"status": 404}, later))
    old.take(_page(young, _row(2, SUBMISSION, second=5)))
    ended.take(_page(young, later), is_end=True)

    assert [each.shows_absence for each in waiting.requests] == [True, False]
    assert [each.shows_absence for each in old.requests] == [False, False]
    assert [each.shows_absence for each in ended.requests] == [False, False]


def test_a_page_that_is_not_the_last_is_followed_by_another() -> None:
    assert not RequestTrail().take(_page(_row(1, SUBMISSION), is_complete=False))


def test_another_process_begins_another_life_and_cuts_an_unread_log_short() -> None:
    trail = RequestTrail()
    trail.note_process(11)
    trail.take(_page(_row(1, SUBMISSION)))

    trail.note_process(12)
    trail.take(_page(_row(1, SUBMISSION)))

    assert [each.life for each in trail.requests] == [0, 1]
    assert trail.lives_cut_short == {0}


def test_requests_that_the_log_has_forgotten_cut_it_short() -> None:
    trail = RequestTrail()
    trail.take(_page(_row(1, SUBMISSION)))

    trail.take(_page(_row(9, SUBMISSION), first=9))

    assert [each.life for each in trail.requests] == [0, 1]
    assert trail.lives_cut_short == {0}
