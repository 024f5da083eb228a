"""A token bucket: first a burst, then the rate."""

from hypothesis import given
from hypothesis import strategies as st

from domain.services.token_bucket import TokenBucket


def test_a_burst_passes_immediately_and_then_the_rate_applies() -> None:
    bucket = TokenBucket(per_second=10, burst=20, now=100.0)

    assert bucket.take(20, now=100.0)
    assert bucket.take(10, now=101.0)
    assert not bucket.take(6, now=101.5)


def test_what_is_not_used_never_adds_up_to_more_than_the_burst() -> None:
    bucket = TokenBucket(per_second=10, burst=20, now=0.0)

    assert not bucket.take(21, now=1_000.0)


def test_a_refusal_takes_nothing() -> None:
    bucket = TokenBucket(per_second=1, burst=2, now=0.0)

    assert [bucket.take(3, now=0.0) for _ in range(5)] == [False] * 5
    assert bucket.take(2, now=0.0)


@given(
    per_second=st.integers(1, 50),
    burst=st.integers(1, 50),
    steps=st.lists(st.tuples(st.integers(0, 1_000), st.integers(1, 10)), max_size=100),
)
def test_never_more_happen_than_the_burst_and_what_the_time_allows(
    per_second: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now, taken = TokenBucket(per_second=per_second, burst=burst, now=0.0), 0.0, 0
    for milliseconds, count in steps:
        now += milliseconds / 1_000
        taken += count if bucket.take(count, now=now) else 0

        assert taken <= burst + per_second * now + 1e-6
