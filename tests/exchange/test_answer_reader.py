"""What an answer's reader keeps, and that it does not matter in which pieces an answer comes."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.alpaca.answer_reader import AnswerReader
from exchange.alpaca.http_answer import AnswerLostError, AnswerTooLargeError, HttpAnswer

ANSWER = b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 08:00:00 GMT\r\nX-Other: 1\r\nContent-Length: 2\r\n\r\n{}"
DATE = {"date": "Mon, 05 Jan 2026 08:00:00 GMT"}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-RateLimit-Limit: 200\r\n\r\n2\r\n{}\r\n0\r\n%s\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nX-RateLimit-Limit: 1\r\nContent-Length: 9\r\n\r\n"
ZIPPED = gzip.compress(b"{}" * 40)
WHOLE = {
    ANSWER: HttpAnswer(status=200, body=b"{}", headers=DATE),
    EARLY + ANSWER: HttpAnswer(status=200, body=b"{}", headers=DATE),
    CHUNKED % b"": HttpAnswer(status=200, body=b"{}", headers={"x-ratelimit-limit": "200"}),
    CHUNKED % b"X-RateLimit-Limit: 3\r\nDate: never\r\n": HttpAnswer(
        status=200, body=b"{}", headers={"x-ratelimit-limit": "200"}
    ),
    ANSWER.replace(b"X-Other: 1", b"content-length: 2"): HttpAnswer(status=200, body=b"{}", headers=DATE),
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(ZIPPED), ZIPPED): HttpAnswer(
        status=200, body=b"{}" * 40
    ),
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n": HttpAnswer(status=304, body=b""),
}
cuts = st.lists(st.integers(0, 300), max_size=8)


def fed(data: bytes, places: list[int]) -> AnswerReader:
    """Return a reader of that data, cut at these places."""
    reader = AnswerReader(max_bytes=1_000)
    for begin, end in pairwise(sorted({0, len(data), *(min(place, len(data)) for place in places)})):
        reader.feed(data[begin:end])
    return reader


@given(data=st.sampled_from(list(WHOLE)), places=cuts)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data: bytes, places: list[int]) -> None:
    reader = fed(data, places)

    assert reader.answer == WHOLE[data]
    assert reader.is_clean


@given(data=st.sampled_from(list(WHOLE)), places=cuts)
def test_an_answer_that_is_cut_off_is_none(data: bytes, places: list[int]) -> None:
    reader = fed(data[:-1], places)
    reader.end()

    assert reader.answer is None


@given(data=st.sampled_from(list(WHOLE)), behind=st.sampled_from(list(WHOLE)), places=cuts)
def test_an_answer_behind_it_changes_nothing_but_that_the_connection_is_not_clean(
    data: bytes, behind: bytes, places: list[int]
) -> None:
    reader = fed(data + behind, places)

    assert reader.answer == WHOLE[data]
    assert not reader.is_clean


def test_what_would_decompress_to_more_than_allowed_is_not_read() -> None:
    bomb = gzip.compress(b"x" * 1_001)

    with pytest.raises(AnswerTooLargeError):
        fed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb), [])


@pytest.mark.parametrize("data", [b"HTTP/2", b"x", b"HTTP/1.1 200 OK\n", b"\r\n"])
def test_what_can_become_no_answer_is_refused_before_its_end(data: bytes) -> None:
    with pytest.raises(AnswerLostError):
        fed(data, [])
