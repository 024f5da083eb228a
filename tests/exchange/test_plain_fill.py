"""The fast parser of a fill has the same result as the general one, and is used for the intended frames."""

from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ports.venue import ExternalReport, VenueReport
from exchange.alpaca import events, frames
from tests.exchange.test_wire import ARRIVED_AT, JSON, order, update
from tests.support.fakes.installation import PREFIXES

plain_fill = partial(events.plain_fill, prefixes=PREFIXES)
parse_message = partial(frames.parse_message, prefixes=PREFIXES, clock=lambda: ARRIVED_AT)
RAW = b"as it came"
EVENTS = ["fill", "partial_fill", "new", "canceled", "trade_bust", "trade_correct"]
ODD = st.sampled_from(
    [
        "",
        ".",
        "\0",
        "x" * 129,
        "x" * 5_000,
        "-1",
        "0",
        "0.0",
        "1e3",
        "1" * 19,
        "+1",
        " 1",
        "\u0661",
        1,
        1.5,
        True,
        None,
        "fill",
        "new",
    ]
)
PATHS = [
    ("stream",),
    ("data",),
    ("data", "event"),
    ("data", "execution_id"),
    ("data", "qty"),
    ("data", "price"),
    ("data", "timestamp"),
    ("data", "order"),
    ("data", "order", "id"),
    ("data", "order", "client_order_id"),
    ("data", "order", "filled_qty"),
]


def frame_of(event: str) -> dict[str, Any]:
    """Return a frame as the venue sends it."""
    filled = order(filled_qty="6.5", status="partially_filled")
    data = update(event, order=filled, execution_id="e1", qty="4.5", price="12.50")
    return {"stream": "trade_updates", "data": data}


@given(
    event=st.sampled_from(EVENTS),
    disturbed=st.dictionaries(st.sampled_from(PATHS), ODD | JSON, max_size=2),
    left_out=st.sets(st.sampled_from(PATHS), max_size=1),
)
def test_it_has_the_result_of_the_general_parser(
    event: str, disturbed: dict[tuple[str, ...], object], left_out: set[tuple[str, ...]]
) -> None:
    message = frame_of(event)
    for path, value in disturbed.items():
        put(message, path, value)
    for path in left_out:
        put(message, path)
    try:
        content = orjson.loads(orjson.dumps(message))
    except orjson.JSONEncodeError:
        return  # A number that JSON cannot hold.

    plain = plain_fill(content, raw=RAW)

    assert plain is None or plain == parse_message(content, raw=RAW)


@pytest.mark.parametrize("event", ["fill", "partial_fill"])
def test_a_fill_in_the_venues_usual_form_uses_the_fast_path(event: str) -> None:
    plain = plain_fill(frame_of(event), raw=RAW)

    assert isinstance(plain, VenueReport)
    assert plain == parse_message(frame_of(event), raw=RAW)
    assert plain.raw == RAW


@pytest.mark.parametrize(
    "value", ["", ".", "\0", "x" * 129, "x" * 5_000, "-1", "0", "0.0", "1e3", "1" * 19, "+1", " 1", 1, 1.5, True, None]
)
@pytest.mark.parametrize("path", PATHS)
def test_each_field_is_taken_only_as_the_whole_way_takes_it(path: tuple[str, ...], value: object) -> None:
    message = frame_of("fill")
    put(message, path, value)

    plain = plain_fill(message, raw=RAW)

    assert plain is None or plain == parse_message(message, raw=RAW)


def test_a_fill_of_an_external_order_is_left_to_the_whole_way() -> None:
    message = frame_of("fill")
    put(message, ("data", "order", "client_order_id"), "by-hand")

    assert plain_fill(message, raw=RAW) is None
    assert parse_message(message, raw=RAW) == ExternalReport(venue_order_id="v1")


@pytest.mark.parametrize("content", [None, 1, "data", [], ["data"], {}, {"data": "order"}, {"data": {"order": "id"}}])
def test_what_is_no_frame_is_left_to_the_whole_way(content: object) -> None:
    assert plain_fill(content) is None


def put(message: dict[str, Any], path: tuple[str, ...], *values: object) -> None:
    """Set or remove the value at that path, as far as the path exists."""
    place: Any = message
    for step in path[:-1]:
        place = place.get(step) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.pop(path[-1], None)
        for value in values:
            place[path[-1]] = value
