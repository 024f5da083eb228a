"""External orders of the run: every kind and every end, by seed; none of them is compared."""

from tests.exchange.simulator.client import exchange
from tools.chaos.external_load import FATES, RESTING_FIRST_ORDERS, plan_external
from tools.chaos.truth import Journal

PLANS = [plan_external(seed=1, number=number) for number in range(RESTING_FIRST_ORDERS + 200)]
PAGE_ROWS = 500


def test_a_seed_has_the_same_external_orders() -> None:
    assert plan_external(seed=1, number=7) == plan_external(seed=1, number=7)
    assert plan_external(seed=1, number=7) != plan_external(seed=2, number=7)


def test_more_of_them_stay_open_than_a_page_of_the_list_contains() -> None:
    fates = [plan.fate for plan in PLANS]

    assert RESTING_FIRST_ORDERS > PAGE_ROWS
    assert set(fates[:RESTING_FIRST_ORDERS]) == {"rests"}
    assert set(fates[RESTING_FIRST_ORDERS:]) == set(FATES)


def test_every_kind_of_order_is_among_them() -> None:
    assert len({plan.kind for plan in PLANS}) == 15
    assert {"bracket", "notional", "on the open", "several legs", "trailing stop", "unknown"} < {
        plan.kind for plan in PLANS
    }
    assert any("client_order_id" not in plan.body for plan in PLANS)


async def test_the_simulator_takes_all_of_them_and_the_journal_leaves_them_out() -> None:
    async with exchange() as client:
        for plan in PLANS[-200:]:
            status, answer = await client.call("POST", "/simulator/orders", plan.body)
            assert status == 200, answer
        order = await client.placed(client_order_id="ours")
        filled = sum(plan.fate == "filled at once" for plan in PLANS[-200:])
        journal = Journal()
        journal.take((await client.call("GET", "/simulator/journal"))[1]["entries"])

    assert [(each.order_id, each.venue_order_id) for each in journal.orders] == [("ours", order["id"])]
    assert journal.open_orders == {"ours"}
    assert journal.external_orders >= 200
    assert (journal.executions, journal.external_executions) == ([], filled)
