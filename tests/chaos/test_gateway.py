"""The answers of a gateway that the run simulates, through the simulator that sends them."""

from contextlib import suppress

import aiohttp
import pytest

from tests.exchange.simulator.client import exchange
from tools.chaos.gateway import (
    ANSWERS,
    EACH_TIMES,
    GATEWAY_KINDS,
    RARE_ROUNDS,
    ROUNDS,
    TOO_MANY_REQUESTS,
    make_scripts,
)
from tools.chaos.schedule import Kind


def test_a_seed_has_the_same_answers_in_the_same_order() -> None:
    first, again, other = (make_scripts(Kind.GATEWAY_LOOK_UPS, seed=seed) for seed in ("1:2.5", "1:2.5", "2:2.5"))

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        (Kind.GATEWAY_SUBMISSIONS, {False}),
        (Kind.GATEWAY_LOST_SUBMISSIONS, {True}),
        (Kind.GATEWAY_LOOK_UPS, {False}),
        (Kind.GATEWAY_CANCELS, {False, True}),
    ],
)
def test_each_fault_plays_every_answer(kind: Kind, moments: set[bool]) -> None:
    scripts = [script for script in make_scripts(kind, seed="1") if script["times"] == EACH_TIMES]

    assert len(scripts) == (len(ANSWERS) * ROUNDS + RARE_ROUNDS) * len(moments)
    assert {script["after_execution"] for script in scripts} == moments
    assert {(script["status"], str(script["body"])) for script in scripts} == {
        (answer.status, str(answer.body)) for answer in (*ANSWERS, TOO_MANY_REQUESTS)
    }


async def test_the_simulator_takes_the_scripts_of_every_kind() -> None:
    async with exchange() as client:
        for kind in GATEWAY_KINDS:
            scripts = list(make_scripts(kind, seed="1"))
            assert await client.call("PUT", "/simulator/answers", scripts) == (200, {"answers": len(scripts)})


async def test_lost_submissions_are_executed_and_others_are_not() -> None:
    accepted = {}
    for kind in (Kind.GATEWAY_SUBMISSIONS, Kind.GATEWAY_LOST_SUBMISSIONS):
        async with exchange() as client:
            await client.call("PUT", "/simulator/answers", list(make_scripts(kind, seed="1")))
            for number in range(EACH_TIMES):
                # The connection may be closed, and the answer a page.
                with suppress(aiohttp.ClientError, ValueError):
                    await client.place(client_order_id=str(number))
            journal = (await client.call("GET", "/simulator/journal"))[1]
        accepted[kind] = sum(entry["kind"] == "order" for entry in journal["entries"])

    assert accepted == {Kind.GATEWAY_SUBMISSIONS: 0, Kind.GATEWAY_LOST_SUBMISSIONS: EACH_TIMES}


async def test_in_silence_a_submission_is_executed_and_a_look_up_answers_endpoint_not_found() -> None:
    async with exchange() as client:
        await client.call("PUT", "/simulator/answers", list(make_scripts(Kind.GATEWAY_SILENCE, seed="1")))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.place(client_order_id="one")
        looked_up = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="one")
        await client.call("PUT", "/simulator/answers", [])
        status, order = await client.call("GET", "/v2/orders:by_client_order_id", client_order_id="one")

    assert looked_up == (404, {"code": 40410000, "message": "endpoint not found"})
    assert (status, order["client_order_id"]) == (200, "one")
