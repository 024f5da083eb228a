"""What was worked out for texts, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from graph.documents.lru import LruTexts

STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(min_value=0, max_value=12)), max_size=40)


@given(steps=STEPS)
def test_the_cache_contains_the_last_ones_that_fit(steps: list[tuple[str, int]]) -> None:
    texts: LruTexts[int] = LruTexts(max_texts=3, max_characters=20)
    expected: list[tuple[str, int]] = []

    for key, characters in steps:
        texts.keep(key, characters, characters=characters)
        expected = [*(one for one in expected if one[0] != key), (key, characters)]
        while len(expected) > 3 or sum(one[1] for one in expected) > 20:
            del expected[0]

        assert len(texts) == len(expected)
    for key in "abcdef":
        assert texts.find(key) == dict(expected).get(key)


def test_what_is_used_is_dropped_last() -> None:
    texts: LruTexts[int] = LruTexts(max_texts=2, max_characters=20)
    for key in "ab":
        texts.keep(key, 1, characters=1)

    texts.find("a")
    texts.keep("c", 1, characters=1)

    assert (texts.find("a"), texts.find("b")) == (1, None)
