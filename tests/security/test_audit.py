"""An attacker with write access to the database changes orders, or operators' actions."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from db.account_limits import PostgresLimitBook
from db.account_seals import PostgresAccountSeals
from db.audit_trail import PostgresAuditTrail
from db.database import Database
from db.engine import open_database
from db.operator_actions import PostgresOperatorActions
from db.trading_halts import PostgresTradingHalts
from domain.model.audit_chain import ChainHead, action_hash, actions_genesis
from domain.model.audit_records import Chain
from domain.model.audit_verification import Finding, FindingKind, TrailVerifier, read_heads
from domain.model.errors import UnavailableError, VersionConflictError
from domain.model.limits import AccountLimits
from domain.model.operator_actions import ActionFilter, ActionKind, Actor, NewAction
from domain.model.order_query import PageRequest
from domain.model.reports import CancelRequested
from domain.ports.trading_control import TradingHalt
from domain.services.sealing import Sealing
from runtime.__main__ import main
from tests.support.examples import accepted, filled, now
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.operators import an_action, save_limits
from tests.support.postgres_stores import make_store
from tests.support.processes import eventually
from tests.support.store_driver import Clerk

COUNT_ACTIONS = "SELECT count(*) FROM operator_actions"
FORGED_CHANGE = """
INSERT INTO order_changes (account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional)
SELECT account_id, {place}, gen_random_uuid(), 1, 'RECEIVED', now(), 'PENDING', 0, 0
FROM order_changes WHERE account_id = 'alice' AND sequence = 1
"""
FORGED_ACTION = """
INSERT INTO operator_actions (sequence, id, at, actor, action, reason, hash)
SELECT sequence + 1, gen_random_uuid(), now(), 'olga', 'LIMITS_CLEARED', 'forged', hash
FROM operator_actions ORDER BY sequence DESC LIMIT 1
"""
SWAPPED_CHANGES = """
UPDATE order_changes AS c SET order_id = o.order_id, version = o.version, kind = o.kind, at = o.at, status = o.status
FROM order_changes AS o
WHERE c.account_id = 'alice' AND o.account_id = 'alice' AND (c.sequence, o.sequence) IN ((2, 3), (3, 2))
"""
SWAPPED_ACTIONS = """
UPDATE operator_actions AS a SET at = o.at, actor = o.actor, account_id = o.account_id, reason = o.reason
FROM operator_actions AS o WHERE (a.sequence, o.sequence) IN ((2, 3), (3, 2))
"""
ORDER_VERSIONS = "ALTER TABLE order_changes {} CONSTRAINT order_changes_order_id_version_key {}"


@pytest.fixture
async def trail(database: Database) -> Database:
    """Two accounts whose changes are sealed in several rounds, and five actions of operators."""
    clerk = Clerk(make_store(database))
    for _ in range(3):
        order_ids = await clerk.store(2, accounts=("alice", "bob"))
        for order_id in order_ids:
            await clerk.record({order_id: [accepted()]})
            await clerk.record({order_id: [filled("100", name=order_id.hex, cumulative="100")]})
        await seal(database)
    for number in range(5):
        await begin_halt(database, f"account {number}")
    return database


async def seal(database: Database) -> None:
    """Seal everything."""
    sealing = Sealing(
        seals=PostgresAccountSeals(database),
        telemetry=RecordingTelemetry(),
        holder=uuid7(),
        lease=timedelta(microseconds=1),
        changes_max=1_000,
    )
    assert await sealing.seal()


async def begin_halt(database: Database, account_id: str | None) -> None:
    """Halt the account's trading."""
    halt = TradingHalt(id=uuid7(), account_id=account_id, halted_at=now(), halted_by="olga", halt_reason="r")
    await PostgresTradingHalts(database).halt(halt, action=an_action(account_id=account_id))


async def heads_of(database: Database) -> dict[Chain, Sequence[ChainHead]]:
    """Export the heads of every chain."""
    records = [record async for record in PostgresAuditTrail(database).heads(account_id=None)]
    return dict(read_heads(iter(records)))


async def findings(
    database: Database, exported: dict[Chain, Sequence[ChainHead]] | None = None
) -> list[tuple[FindingKind, Chain, int, int]]:
    """Verify every chain: what is found of which, and where."""
    verifier = TrailVerifier(exported=exported or {})
    found: list[Finding] = []
    async for record in PostgresAuditTrail(database).records(account_id=None, since=None):
        found += verifier.take(record)
    found += verifier.finish()
    return [(one.kind, one.account_id, one.first, one.last) for one in found]


@asynccontextmanager
async def attacker(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect as a superuser, for whom triggers do not apply."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
    finally:
        await connection.close()


async def test_an_unchanged_trail_is_valid(trail: Database) -> None:
    exported = await heads_of(trail)

    assert await findings(trail, exported) == []
    assert {chain: heads[0].sequence for chain, heads in exported.items()} == {"alice": 9, "bob": 9, None: 5}


@pytest.mark.parametrize(
    ("attack", "found"),
    [
        pytest.param(
            "UPDATE order_changes SET execution_price = 1 WHERE account_id = 'alice' AND sequence = 3",
            [(FindingKind.ALTERED, "alice", 1, 3)],
            id="altered change",
        ),
        pytest.param(
            "UPDATE order_changes SET reason_message = '' WHERE account_id = 'bob' AND sequence = 9",
            [(FindingKind.ALTERED, "bob", 7, 9)],
            id="null to an empty text",
        ),
        pytest.param(
            "DELETE FROM order_changes WHERE account_id = 'alice' AND sequence IN (4, 5)",
            [(FindingKind.MISSING, "alice", 4, 5)],
            id="deleted changes",
        ),
        pytest.param(
            "DELETE FROM order_changes WHERE account_id = 'alice' AND sequence > 7",
            [(FindingKind.TRUNCATED, "alice", 8, 9)],
            id="truncated changes",
        ),
        pytest.param(
            "DELETE FROM order_changes WHERE account_id = 'alice' AND sequence > 6;"
            "UPDATE accounts SET sequence = 6 WHERE id = 'alice'",
            [(FindingKind.TRUNCATED, "alice", 7, 9)],
            id="truncated changes and position",
        ),
        pytest.param(
            "DELETE FROM order_changes WHERE account_id = 'alice' AND sequence > 6;"
            "UPDATE accounts SET sequence = 6 WHERE id = 'alice';"
            "UPDATE sealed_accounts AS s SET sequence = 6, hash = a.hash FROM account_seals AS a"
            " WHERE s.account_id = 'alice' AND a.account_id = 'alice' AND a.up_to_sequence = 6",
            [(FindingKind.TRUNCATED, "alice", 7, 9)],
            id="truncated changes, position and head",
        ),
        pytest.param(FORGED_CHANGE.format(place=10), [(FindingKind.UNEXPECTED, "alice", 10, 10)], id="appended change"),
        pytest.param(FORGED_CHANGE.format(place=-1), [(FindingKind.UNEXPECTED, "alice", -1, -1)], id="change in front"),
        pytest.param(
            FORGED_CHANGE.format(place=1).replace("SELECT account_id", "SELECT 'mallory'"),
            [(FindingKind.UNEXPECTED, "mallory", 1, 1)],
            id="change of an account that is none",
        ),
        pytest.param(
            FORGED_CHANGE.format(place=1).replace("SELECT account_id", "SELECT ''"),
            [(FindingKind.UNEXPECTED, "", 1, 1)],
            id="change of an account without a name",
        ),
        pytest.param(
            ORDER_VERSIONS.format("DROP", "")
            + ";"
            + SWAPPED_CHANGES
            + ";"
            + ORDER_VERSIONS.format("ADD", "UNIQUE (order_id, version)"),
            [(FindingKind.ALTERED, "alice", 1, 3)],
            id="swapped changes",
        ),
        pytest.param(
            "UPDATE account_seals SET hash = repeat('0', 64) WHERE account_id = 'bob' AND up_to_sequence = 3",
            [(FindingKind.ALTERED, "bob", 1, 3), (FindingKind.ALTERED, "bob", 4, 6)],
            id="altered seal",
        ),
        pytest.param(
            "UPDATE operator_actions SET reason = 'none of mine' WHERE sequence = 3",
            [(FindingKind.ALTERED, None, 3, 3)],
            id="altered action",
        ),
        pytest.param(
            "DELETE FROM operator_actions WHERE sequence = 2", [(FindingKind.MISSING, None, 2, 2)], id="deleted action"
        ),
        pytest.param(
            "DELETE FROM operator_actions WHERE sequence > 3",
            [(FindingKind.TRUNCATED, None, 4, 5)],
            id="truncated actions",
        ),
        pytest.param(FORGED_ACTION, [(FindingKind.UNEXPECTED, None, 6, 6)], id="appended action"),
        pytest.param(
            SWAPPED_ACTIONS,
            [(FindingKind.ALTERED, None, 2, 2), (FindingKind.ALTERED, None, 3, 3)],
            id="swapped actions",
        ),
    ],
)
async def test_a_tampered_row_is_found_and_named(
    trail: Database, emptied_database_url: str, attack: str, found: object
) -> None:
    async with attacker(emptied_database_url) as connection:
        await connection.execute(attack)

    assert await findings(trail) == found


async def test_a_chain_that_was_computed_again_is_found_by_the_heads_that_were_exported(
    trail: Database, emptied_database_url: str
) -> None:
    exported = await heads_of(trail)
    async with attacker(emptied_database_url) as connection:
        await connection.execute("UPDATE order_changes SET notional = 7 WHERE account_id = 'alice' AND sequence = 5")
        await connection.execute("DELETE FROM sealed_accounts WHERE account_id = 'alice'")
        await connection.execute("DELETE FROM account_seals WHERE account_id = 'alice'")
        await connection.execute("UPDATE operator_actions SET actor = 'otto' WHERE sequence = 2")
        previous = await connection.fetchval("SELECT hash FROM operator_actions WHERE sequence = 1")
        page = await PostgresOperatorActions(trail).page(PageRequest(limit=4), filter=ActionFilter())
        for action in reversed(page.rows):
            previous = action_hash(previous, action)
            await connection.execute("UPDATE operator_actions SET hash = $1 WHERE id = $2", previous, action.id)
        await connection.execute("UPDATE operator_action_head SET hash = $1", previous)
    await seal(trail)

    without_heads = await findings(trail)
    with_heads = await findings(trail, exported)

    assert without_heads == []
    assert with_heads == [(FindingKind.REWRITTEN, None, 1, 5), (FindingKind.REWRITTEN, "alice", 1, 9)]


async def test_heads_that_were_exported_before_and_after_a_chain_was_computed_again_contradict_each_other(
    trail: Database, emptied_database_url: str
) -> None:
    before = await heads_of(trail)
    async with attacker(emptied_database_url) as connection:
        await connection.execute("UPDATE order_changes SET notional = 7 WHERE account_id = 'alice' AND sequence = 5")
        await connection.execute("DELETE FROM sealed_accounts WHERE account_id = 'alice'")
        await connection.execute("DELETE FROM account_seals WHERE account_id = 'alice'")
    await seal(trail)
    # The next hour's export, of an account that has not moved: the same sequence with another hash.
    after = await heads_of(trail)

    found = [
        await findings(trail, {chain: [*first[chain], *second[chain]] for chain in before})
        for first, second in ((before, after), (after, before), (before, before))
    ]

    rewritten = [(FindingKind.REWRITTEN, "alice", 1, 9)]
    assert found == [rewritten, rewritten, rewritten]


async def test_chains_that_were_removed_without_a_trace_are_found_by_the_heads_that_were_exported(
    trail: Database, emptied_database_url: str
) -> None:
    exported = await heads_of(trail)
    async with attacker(emptied_database_url) as connection:
        await connection.execute("DELETE FROM operator_actions")
        await connection.execute("DELETE FROM operator_action_head")
        await connection.execute("DELETE FROM order_changes WHERE account_id = 'alice'")
        await connection.execute("DELETE FROM accounts WHERE id = 'alice'")
        await connection.execute("DELETE FROM sealed_accounts WHERE account_id = 'alice'")
        await connection.execute("DELETE FROM account_seals WHERE account_id = 'alice'")

    without_heads = await findings(trail)
    with_heads = await findings(trail, exported)

    assert without_heads == []
    assert with_heads == [(FindingKind.TRUNCATED, None, 1, 5), (FindingKind.TRUNCATED, "alice", 1, 9)]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE operator_actions SET reason = ''", "DELETE FROM operator_actions", "TRUNCATE operator_actions"],
)
async def test_not_even_the_owner_changes_an_action_unless_it_removes_the_guard(
    trail: Database, emptied_database_url: str, statement: str
) -> None:
    connection = await asyncpg.connect(emptied_database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(statement)
    finally:
        await connection.close()
    assert await findings(trail) == []


async def test_the_database_and_this_program_hash_an_action_alike(database: Database) -> None:
    strange = NewAction(
        id=uuid7(),
        actor=Actor(subject='Zoë "ops", 3:x,', token_id="", address="-", alias="\U0001f6d1"),
        kind=ActionKind.TRADING_HALTED,
        reason="",
        account_id="zoë",
        order_id=uuid7(),
        after='{"a":"ü\\u0000"}',
    )
    halt = TradingHalt(id=uuid7(), account_id="zoë", halted_at=now(), halted_by="o", halt_reason="r")
    await PostgresTradingHalts(database).halt(halt, action=strange)
    (action,) = (await PostgresOperatorActions(database).page(PageRequest(limit=5), filter=ActionFilter())).rows

    assert action.hash == action_hash(actions_genesis().hash, action)
    assert (action.actor, action.token_id, action.address) == ('Zoë "ops", 3:x, for \U0001f6d1', None, "-")
    assert (action.reason, action.before, action.after) == ("", None, strange.after)


async def test_an_action_whose_row_cannot_be_stored_is_not_done(emptied_database_url: str) -> None:
    cancel, holder = an_action(ActionKind.CANCEL_REQUESTED), await asyncpg.connect(emptied_database_url)
    async with open_database(emptied_database_url, application_name="t", lock_timeout_seconds=0.2) as database:
        clerk = Clerk(make_store(database))
        (order_id,) = await clerk.store(1)
        [write] = await clerk.decide({order_id: [CancelRequested(at=now())]})
        await begin_halt(database, "somebody")
        holding = holder.transaction()
        await holding.start()
        await holder.execute("SELECT FROM operator_action_head FOR UPDATE")

        with pytest.raises(UnavailableError):
            await begin_halt(database, "alice")
        with pytest.raises(UnavailableError):
            await clerk.orders.write([write], action=cancel)
        await holding.rollback()

        halted = await database.fetch("SELECT account_id FROM trading_halts")
        assert [row["account_id"] for row in halted] == ["somebody"]
        assert await holder.fetchval("SELECT version FROM orders") == 1
        assert await holder.fetchval(COUNT_ACTIONS) == 1
        await clerk.orders.write([write], action=cancel)
        assert await holder.fetchval("SELECT version FROM orders") == 2
        assert await holder.fetchval(COUNT_ACTIONS) == 2
    await holder.close()


async def test_a_server_killed_during_an_action_has_neither_it_nor_its_row(
    database: Database, emptied_database_url: str
) -> None:
    await begin_halt(database, "somebody")
    holder = await asyncpg.connect(emptied_database_url)
    try:
        holding = holder.transaction()
        await holding.start()
        await holder.execute("SELECT FROM operator_action_head FOR UPDATE")
        halting = asyncio.create_task(begin_halt(database, "alice"))
        killed = """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '%trading_halts%' AND datname = current_database()
        """
        await eventually(lambda: holder.fetch(killed), within_seconds=10)
        with pytest.raises(UnavailableError):
            await halting
        await holding.rollback()

        assert await holder.fetchval("SELECT count(*) FROM trading_halts") == 1
        assert await holder.fetchval(COUNT_ACTIONS) == 1
    finally:
        await holder.close()
    assert await findings(database) == []


async def test_an_action_that_is_not_done_leaves_no_row(database: Database) -> None:
    book, clerk = PostgresLimitBook(database, cache_seconds=5), Clerk(make_store(database))
    (order_id,) = await clerk.store(1)
    limits = await save_limits(book, AccountLimits(account_id="alice", max_open_orders=3, set_by="olga"))
    stale = await clerk.decide({order_id: [CancelRequested(at=now())]})
    await clerk.record({order_id: [accepted()]})
    await begin_halt(database, "alice")

    with pytest.raises(VersionConflictError):
        await book.save(limits, replaces=None, action=an_action(ActionKind.LIMITS_SET))
    with pytest.raises(VersionConflictError):
        await clerk.orders.write(stale, action=an_action(ActionKind.CANCEL_REQUESTED))
    await begin_halt(database, "alice")

    kinds = [row["action"] for row in await database.fetch("SELECT action FROM operator_actions ORDER BY sequence")]
    assert kinds == ["LIMITS_SET", "TRADING_HALTED"]


async def test_concurrent_operators_and_orders_neither_deadlock_nor_fork_the_chain(
    emptied_database_url: str, database: Database
) -> None:
    async with open_database(emptied_database_url, application_name="other") as other:
        clerks = [Clerk(make_store(database)), Clerk(make_store(other))]
        order_ids = await clerks[0].store(20, accounts=("alice", "bob"))

        async def cancel(number: int) -> None:
            clerk = clerks[number % 2]
            [write] = await clerk.decide({order_ids[number]: [CancelRequested(at=now())]})
            await clerk.orders.write([write], action=an_action(ActionKind.CANCEL_REQUESTED))

        await asyncio.gather(
            *(cancel(number) for number in range(20)),
            *(begin_halt((database, other)[number % 2], f"account {number}") for number in range(10)),
            *(clerk.store(10, accounts=("alice", "bob")) for clerk in clerks),
        )

    await seal(database)
    heads = await heads_of(database)
    assert await findings(database) == []
    assert heads[None][0].sequence == 30


async def audit(database_url: str, *arguments: str) -> tuple[int | None, list[str]]:
    """Run the command; its exit code and its lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "runtime", "audit", *arguments),
        env={"DATABASE_URL": database_url, "LOG_FORMAT": "json"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().splitlines()


@pytest.mark.usefixtures("trail")
async def test_an_export_is_verified_on_another_machine_and_convicts_a_truncated_database(
    emptied_database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, forged = tmp_path / "trail.jsonl", tmp_path / "forged.jsonl"

    def verify_file(file: Path) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["fillwire", "audit", "verify", "--file", str(file), "--heads", str(exported)])
        exit_code = main()
        return exit_code, capsys.readouterr().out.splitlines()

    assert await audit(emptied_database_url, "export", "--output", str(exported)) == (0, [])
    forged.write_text(exported.read_text().replace('"FILL"', '"FILLED"', 1))
    async with attacker(emptied_database_url) as connection:
        await connection.execute("DELETE FROM order_changes WHERE account_id = 'alice' AND sequence = 9")
        await connection.execute("UPDATE accounts SET sequence = 8 WHERE id = 'alice'")
        await connection.execute("DELETE FROM sealed_accounts WHERE account_id = 'alice'")
        await connection.execute("DELETE FROM account_seals WHERE account_id = 'alice'")

    broken = await audit(emptied_database_url, "verify", "--json", "--heads", str(exported))

    assert broken == (
        1,
        [
            '{"finding": "truncated", "account": "alice", "first": 9, "last": 9}',
            '{"links": 22, "chains": 3, "findings": 1}',
        ],
    )
    assert verify_file(exported) == (0, ["Links verified: 23, chains: 3, findings: 0"])
    assert verify_file(forged) == (
        1,
        ["altered: changes of account 'alice', sequence 1 to 3", "Links verified: 23, chains: 3, findings: 1"],
    )
    forged.write_bytes(exported.read_bytes()[:-5])
    assert verify_file(forged)[0] == 3
