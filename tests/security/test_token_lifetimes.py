"""A token with too long a lifetime is refused, with any other claims."""

import time

import pytest

from tests.security.two_apis import TwoApis, mint

YEAR_9999 = 253_402_300_799
DAY_SECONDS = 86_400


@pytest.mark.parametrize("is_dated", [True, False], ids=["with iat", "without iat"])
async def test_a_token_that_ends_in_the_year_9999_is_refused(apis: TwoApis, *, is_dated: bool) -> None:
    iat = int(time.time()) if is_dated else None

    assert await apis.status(mint(iat=iat, exp=YEAR_9999)) == 401
    assert await apis.status(mint(iat=iat)) == 200


async def test_a_token_may_live_for_a_day_and_not_a_second_longer(apis: TwoApis) -> None:
    now = int(time.time())

    assert await apis.status(mint(iat=now, exp=now + DAY_SECONDS)) == 200
    assert await apis.status(mint(iat=now, exp=now + DAY_SECONDS + 1)) == 401


async def test_a_token_that_is_near_its_end_was_made_to_live_too_long_all_the_same(apis: TwoApis) -> None:
    now = int(time.time())

    assert await apis.status(mint(iat=now - 2 * DAY_SECONDS, exp=now + 60)) == 401


@pytest.mark.parametrize("iat", ["tomorrow", 10**400, True, [1], {}], ids=str)
async def test_a_token_that_was_issued_at_no_time_is_refused(apis: TwoApis, iat: object) -> None:
    assert await apis.status(mint(iat=iat)) == 401


async def test_a_token_from_the_future_is_refused_unless_the_clocks_explain_it(apis: TwoApis) -> None:
    now = int(time.time())

    assert await apis.status(mint(iat=now + 3)) == 200
    assert await apis.status(mint(iat=now + 60)) == 401


@pytest.mark.parametrize("token_id", ["x" * 257, "a\x00b", 7, ["a"]], ids=lambda token_id: repr(token_id)[:12])
async def test_a_token_whose_id_could_not_be_revoked_is_refused(apis: TwoApis, token_id: object) -> None:
    assert await apis.status(mint(jti=token_id)) == 401
