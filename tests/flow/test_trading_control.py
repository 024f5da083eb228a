"""Limits and halts across processes: set in one of them, in force in all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.processes import eventually, running
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system
from tools.devstack.ports import free_port

HALT = """mutation Halt($account: ID, $everybody: Boolean! = false) {
  haltTrading(input: {accountId: $account, everybody: $everybody, reason: "fat finger"}) {
  __typename ... on HaltTradingSuccess { halt { id haltedAt } } } }"""
RESUME = """mutation Resume($account: ID, $everybody: Boolean! = false) {
  resumeTrading(input: {accountId: $account, everybody: $everybody, reason: "mended"}) {
  __typename ... on UserError { code } } }"""
SET = """mutation Set($input: SetAccountLimitsInput!) { setAccountLimits(input: $input) { __typename } }"""
MINE = "{ viewer { tradingHalted openOrders limits { maxOpenOrders } } }"


@pytest.fixture(scope="module")
async def shared_two(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[System]:
    """Start two API processes for all of these tests, without a worker."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with open_system(database_url=database_url, redis_url=redis_url) as system:
        await system.start("api", "api-2")
        yield system


@pytest.fixture
async def two(shared_two: System) -> AsyncIterator[System]:
    """Return both, with trading not halted. Each test has its own account."""
    yield shared_two
    await operate(shared_two, RESUME, everybody=True)


async def operate(system: System, query: str, *, head: str = "api", **variables: object) -> str:
    """One operator's mutation; the type of its result."""
    data = await system.ask(query, variables, account="olga", head=head, scopes="operator")
    (result,) = data.values()
    name: str = result["__typename"]
    return name


async def run(system: System, *arguments: str) -> tuple[int, str]:
    """Run a command at the system's database; its exit code, and what it printed."""
    async with running(["-m", "runtime", *arguments], environment=system.environment) as command:
        code = await command.ends(within_seconds=20)
        await eventually(lambda: command.silent, within_seconds=5)
        return code, "\n".join(command.output)


async def test_a_halt_at_one_process_stops_all_immediately_leaves_cancels_open_and_ends_when_resumed(
    two: System,
) -> None:
    first = await two.placed_id(account="stopped", head="api")
    stopped = asyncio.Event()
    answers: list[tuple[bool, str]] = []

    async def keep_placing(head: str) -> None:
        while answers.count((True, "TRADING_HALTED")) < 40:
            was_halted = stopped.is_set()
            result = await two.place(account="stopped", head=head)
            answers.append((was_halted, result.get("code", "stored")))

    placing = [asyncio.create_task(keep_placing(head)) for head in ("api", "api-2") for _ in range(4)]
    await eventually(lambda: len(answers) > 40, within_seconds=15)
    assert await operate(two, HALT, head="api-2", everybody=True) == "HaltTradingSuccess"
    stopped.set()
    await asyncio.wait_for(asyncio.gather(*placing), 30)

    said = Counter(answers)
    assert said[False, "stored"] > 0
    # Sent after the halt was answered, to either process: none was stored.
    assert said[True, "stored"] == 0
    assert (await two.cancel(first, account="stopped"))["__typename"] == "CancelOrderSuccess"
    assert (await two.ask(MINE, account="stopped", head="api"))["viewer"]["tradingHalted"] is True

    assert await operate(two, RESUME, head="api", everybody=True) == "ResumeTradingSuccess"
    assert (await two.place(account="stopped", head="api-2"))["__typename"] == "PlaceOrderSuccess"


async def test_what_was_stored_before_a_halt_is_sent_after_it(database_url: str, redis_url: str) -> None:
    async with open_system(database_url=database_url, redis_url=redis_url) as system:
        await system.start("api")
        order_id = await system.placed_id()
        await operate(system, HALT, account="demo")
        await system.start("worker", "ingest")
        others = await system.placed_id(account="other")

        await system.becomes(others, "PLACED", account="other")
        held = await system.order(order_id)
        journal = await system.journal("order")
        halted = await eventually(lambda: system.metric("trading_halted", head="worker"), within_seconds=10)
        await operate(system, RESUME, account="demo")
        await system.becomes(order_id, "PLACED")

    assert held["status"] == "PENDING"
    assert held["placement"]["nextAttemptAt"] is None
    assert "halted" in held["placement"]["lastError"]
    assert len(journal) == 1
    assert halted == 1


async def test_a_halt_from_the_command_line_holds_in_running_processes(two: System) -> None:
    unclear = [
        (await run(two, *command, "--by", "olga"))[0]
        for command in (
            ("trading", "halt", "--reason", "fat finger"),
            ("trading", "halt", "--reason", "fat finger", "--account", "unknown "),
        )
    ]
    code, said = await run(two, "trading", "halt", "--account", "unknown", "--reason", "fat finger", "--by", "olga")
    denied = await two.place(head="api-2", account="unknown")
    other = await two.place(head="api-2", account="other")
    _, status = await run(two, "trading", "status")
    resumed, _ = await run(two, "trading", "resume", "--account", "unknown", "--reason", "mended")

    assert unclear == [2, 1]
    assert code == 0, said
    assert "No order of unknown has ever been accepted" in said
    assert denied["code"] == "TRADING_HALTED"
    assert other["__typename"] == "PlaceOrderSuccess"
    assert "unknown: halted" in status
    assert "by olga (fat finger)" in status
    assert resumed == 0
    assert (await two.place(account="unknown"))["__typename"] == "PlaceOrderSuccess"


async def test_an_account_whose_id_is_older_than_the_rule_is_halted_by_itself_from_the_command_line(
    two: System,
) -> None:
    old = " old d\u00e9sk "
    with pytest.raises(AssertionError, match="ACCOUNT_PATTERN"):
        await two.place(account=old)
    connection = await asyncpg.connect(two.environment["DATABASE_URL"])
    try:
        await connection.execute("INSERT INTO accounts (id, sequence) VALUES ($1, 0)", old)
    finally:
        await connection.close()

    before = await two.place(account=old)
    code, said = await run(two, "trading", "halt", "--account", old, "--reason", "fat finger", "--by", "olga")
    during = [(await two.place(account=account)).get("code") for account in (old, "old desk")]

    assert before["__typename"] == "PlaceOrderSuccess"
    assert code == 0, said
    assert during == ["TRADING_HALTED", None]


async def test_of_a_hundred_concurrent_orders_at_two_processes_ten_are_stored_where_ten_may_be_open(
    two: System,
) -> None:
    limits = {"accountId": "limited", "maxOpenOrders": 10}
    denied_before = await _denied(two)
    assert await operate(two, SET, input=limits) == "SetAccountLimitsSuccess"

    results = await asyncio.gather(
        *(two.place(account="limited", head=("api", "api-2")[number % 2]) for number in range(100))
    )

    assert _codes(results) == {"stored": 10, "MAX_OPEN_ORDERS": 90}
    assert (await two.ask(MINE, account="limited"))["viewer"] == {
        "tradingHalted": False,
        "openOrders": 10,
        "limits": {"maxOpenOrders": 10},
    }
    assert await _denied(two) == denied_before + 90


async def test_a_rate_is_shared_by_all_processes_also_while_redis_is_away(database_url: str) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = {"ORDERS_PER_SECOND_MAX": "5"}
    async with open_system(database_url=database_url, redis_url=nowhere, settings=settings) as system:
        await system.start("api", "api-2")

        results = await asyncio.gather(*(system.place(head=("api", "api-2")[number % 2]) for number in range(20)))
        later = await eventually(lambda: _placed(system), within_seconds=5)

    codes = _codes(results)
    assert set(codes) == {"stored", "ORDER_RATE"}
    # Twenty concurrent ones take a fraction of a second, or slightly more on a busy machine.
    assert 5 <= codes["stored"] <= 10
    assert later["__typename"] == "PlaceOrderSuccess"


async def _denied(two: System) -> float:
    return sum([await two.metric("orders_denied_total", head=head) for head in ("api", "api-2")])


async def _placed(system: System) -> Json | None:
    result = await system.place()
    return result if result["__typename"] == "PlaceOrderSuccess" else None


def _codes(results: list[Json]) -> Counter[str]:
    return Counter(result.get("code", "stored") for result in results)
