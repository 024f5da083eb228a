"""The privileges in PostgreSQL: for each table and role the columns that it may read, insert and update.

`db.role_statements` creates roles and grants from it; after each migration they are exactly this. A new table must be
named here. Only the owner truncates or creates tables, and only operators' limits and expired revocations are ever
deleted. Terms of orders, executions' trades, and the log of changes are never updated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Columns = Sequence[str]
ALL: Columns = ("*",)
"""Every column, later ones too: a privilege of the table."""
NONE: Columns = ()


class Role(StrEnum):
    """A role of an installation. OWNER owns the tables and migrates; the others are the logins of processes."""

    OWNER = "owner"
    API = "api"
    WORKER = "worker"
    INGEST = "ingest"
    # The commands of people: trading, limits, instruments.
    OPERATOR = "operator"


PROCESS_ROLES = (Role.API, Role.WORKER, Role.INGEST, Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The privileges of a role on a table. A locking read (FOR UPDATE, FOR SHARE, …) requires any column of
    `update`.
    """

    select: Columns = NONE
    insert: Columns = NONE
    update: Columns = NONE
    delete: bool = False


READS = Access(select=ALL)

# The API stores new orders and requests cancellations.
_NEW_ORDER = (
    *("id", "account_id", "client_order_id", "isin", "symbol", "side", "type", "time_in_force", "quantity"),
    *("limit_price", "status", "created_at", "updated_at", "submit_due_at", "venue_client_order_id"),
)
_REQUESTED = (
    *("version", "updated_at", "status", "cancel_asked", "ends", "end_reasons", "submit_due_at", "cancel_due_at"),
)
_NEW_CHANGE = ("account_id", "sequence", "order_id", "version", "kind", "at", "status", "filled_quantity", "notional")
_SHOWN = ("reason_source", "reason_code", "reason_message", "venue_order_id", "restatement", "placement")

# The worker and ingest record what the venue reports; only the worker claims.
_RECORDED = (
    *("version", "updated_at", "status", "phase", "rank", "venue_order_id", "filled_quantity", "notional", "ends"),
    *("cancel_asked", "cancel_sent", "cancel_refused", "cancel_refused_at", "end_reasons", "phase_reasons"),
    *("is_open_at_venue", "submit_due_at", "lease_until", "attempts", "maybe_sent_at", "last_error", "cancel_due_at"),
    *("venue_counted", "venue_counted_at", "restatement", "successors"),
)
_CLAIMED = ("attempt", "last_attempt_at")
# A fill is completed, corrected or busted in its row, which stays that of the same execution and order.
_AMENDED = (
    *("cumulative_quantity", "fill_quantity", "fill_price", "executed_at", "is_busted"),
    *("correction_quantity", "correction_price", "corrected_at", "amends", "repeats", "amended_at"),
)
_RECORDS_EXECUTIONS = Access(select=ALL, insert=ALL, update=_AMENDED)
_COUNTS = Access(
    select=("id", "sequence", "open_orders"),
    insert=("id", "sequence", "open_orders"),
    update=("sequence", "open_orders"),
)
_BREAKS_CIRCUIT = Access(select=ALL, insert=ALL, update=("failures", "probe_at", "paused_until", "reason"))
_SPENDS_BUDGET = Access(select=ALL, insert=ALL, update=("version", "state", "updated_at"))
_KEEPS_DEAD_LETTERS = Access(
    select=("digest", "count", "error", "last_at"),
    insert=("digest", "source", "error", "raw", "first_at", "last_at"),
    update=("count", "error", "last_at"),
)
_SAVES_PRICES = Access(select=ALL, insert=ALL, update=("price", "at"))
_HALTS = Access(
    select=ALL,
    insert=("id", "account_id", "halted_at", "halted_by", "halt_reason"),
    update=("resumed_at", "resumed_by", "resume_reason"),
)
_LIMITS = (
    *("max_quantity", "max_notional", "price_collar_percent", "max_open_orders", "max_orders_per_second"),
    *("set_at", "set_by"),
)
_SETS_LIMITS = Access(select=ALL, insert=("account_id", *_LIMITS), update=_LIMITS, delete=True)

_ASKS = Access(
    select=ALL,
    insert=(
        *("id", "order_id", "subject", "client_request_id", "action", "arguments", "reason"),
        *("actor", "token_id", "address"),
    ),
)
_REVOKES = Access(
    select=ALL,
    insert=ALL,
    update=("issued_before", "revoked_at", "revoked_by", "reason", "expires_at", "position"),
    delete=True,  # Of what has expired.
)
_TAKES_POSITIONS = Access(select=ALL, insert=ALL, update=("position",))

TABLE_ACCESS: Mapping[str, Mapping[Role, Access]] = {
    "orders": {
        Role.API: Access(select=ALL, insert=_NEW_ORDER, update=_REQUESTED),
        Role.WORKER: Access(select=ALL, update=(*_RECORDED, *_CLAIMED)),
        Role.INGEST: Access(select=ALL, update=_RECORDED),
        Role.OPERATOR: READS,
    },
    "executions": {
        Role.API: READS,
        Role.WORKER: _RECORDS_EXECUTIONS,
        Role.INGEST: _RECORDS_EXECUTIONS,
        Role.OPERATOR: READS,
    },
    "order_changes": {
        Role.API: Access(select=ALL, insert=(*_NEW_CHANGE, *_SHOWN)),
        Role.WORKER: Access(select=ALL, insert=ALL),  # It seals them.
        Role.INGEST: Access(insert=ALL),
        Role.OPERATOR: READS,
    },
    "accounts": {
        Role.API: Access(
            select=ALL,
            insert=("id", "sequence", "open_orders", "accepted_at"),
            update=("sequence", "open_orders", "accepted_at"),
        ),
        Role.WORKER: _COUNTS,
        Role.INGEST: _COUNTS,
        Role.OPERATOR: Access(select=ALL, update=("open_orders",)),  # `limits recount`.
    },
    "account_limits": {Role.API: _SETS_LIMITS, Role.OPERATOR: _SETS_LIMITS},
    "trading_halts": {
        Role.API: _HALTS,
        # Only for the lock of a claim. A check of the table prevents ending a halt with it.
        Role.WORKER: Access(select=ALL, update=("resume_reason",)),
        Role.OPERATOR: _HALTS,
    },
    "instrument_prices": {
        Role.API: READS,
        Role.WORKER: _SAVES_PRICES,
        Role.INGEST: _SAVES_PRICES,
        Role.OPERATOR: _SAVES_PRICES,
    },
    "instruments": {
        Role.API: READS,
        Role.OPERATOR: Access(
            select=ALL, insert=ALL, update=("symbol", "name", "currency", "tick_size", "lot_size", "tradable")
        ),
    },
    "stream_positions": {
        Role.INGEST: Access(
            select=ALL, insert=ALL, update=("moment", "closed_orders_moment", "epoch", "leader_id", "lease_until")
        ),
        Role.OPERATOR: READS,
    },
    "venue_gates": {
        Role.API: READS,
        Role.WORKER: _BREAKS_CIRCUIT,
        Role.INGEST: _BREAKS_CIRCUIT,
        Role.OPERATOR: _BREAKS_CIRCUIT,  # `instruments sync` reads them from the venue.
    },
    "rate_budgets": {
        Role.WORKER: _SPENDS_BUDGET,
        Role.INGEST: _SPENDS_BUDGET,
        Role.OPERATOR: _SPENDS_BUDGET,
    },
    "dead_letters": {
        Role.WORKER: _KEEPS_DEAD_LETTERS,
        Role.INGEST: _KEEPS_DEAD_LETTERS,
        Role.OPERATOR: READS,
    },
    "token_revocations": {Role.API: _REVOKES, Role.OPERATOR: _REVOKES},
    "token_revocation_head": {Role.API: _TAKES_POSITIONS, Role.OPERATOR: _TAKES_POSITIONS},
    # Requests of operators. The API and the command line insert a request once; workers write its outcome, and complete
    # requests with a change only by `append_resolution_action`.
    "resolutions": {
        Role.API: _ASKS,
        Role.WORKER: Access(select=ALL, update=("lease_until", "done_at", "refused_field", "refusal", "answer")),
        Role.OPERATOR: _ASKS,
    },
    # Written only by `append_operator_action`.
    "operator_actions": {Role.API: READS, Role.OPERATOR: READS},
    # The worker appends only stored requests of `resolutions`: reading the head allows it to do so for the command
    # line, too.
    "operator_action_head": {Role.WORKER: READS, Role.OPERATOR: READS},
    "sealed_accounts": {
        Role.API: READS,
        Role.WORKER: Access(select=ALL, insert=ALL, update=("sequence", "hash", "sealed_at")),
        Role.OPERATOR: READS,
    },
    "account_seals": {Role.WORKER: Access(select=ALL, insert=ALL), Role.OPERATOR: READS},
    "seal_lease": {
        Role.WORKER: Access(select=ALL, insert=ALL, update=("holder", "lease_until")),
        Role.OPERATOR: READS,
    },
    "installation": dict.fromkeys(PROCESS_ROLES, READS),
    "alembic_version": dict.fromkeys(PROCESS_ROLES, READS),
}

FUNCTIONS: Mapping[str, Sequence[Role]] = {
    "wait_for_orders_before_halts()": (Role.API, Role.OPERATOR),
    "append_operator_action(uuid,text,text,text,text,text,uuid,text,text,text)": (Role.API, Role.OPERATOR),
    "append_resolution_action(uuid,text,text)": (Role.WORKER,),
    "refuse_changes_of_operator_actions()": (),
    "refuse_resolutions_for_others()": (),
}
"""Our functions and who may call them: those that run with their owner's rights. Of triggers nobody calls any."""
