"""The tables of orders, their executions and changes, and of accounts.

Rules of the layout: no column that a fill changes is in an index or in an index's predicate, so that fills stay
heap-only updates (measured: with `status` in a predicate 27 to 45 % of them do); `account_id` is in every table about
an account, as the key for partitioning over machines.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

import db.audit_tables
import db.resolution_tables
import db.revocation_tables
import db.trading_tables
import db.venue_tables  # noqa: F401 - importing these tables registers all of them in the metadata
from db.columns import (
    CODE_MAX_CHARACTERS,
    ID_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    MOMENT,
    NAME,
    at_most,
    exact_decimal,
    metadata,
    positive_decimal,
)
from domain.model.order_identity import VENUE_CLIENT_ORDER_ID_MAX_CHARACTERS
from domain.model.values import CLIENT_ORDER_ID_MAX_CHARACTERS

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("account_id", NAME, nullable=False),
    # The client's terms: they never change.
    Column("client_order_id", NAME, nullable=False),
    Column("isin", NAME, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_in_force", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("limit_price", Numeric),
    # The facts: they only grow (see domain.model.order).
    Column("phase", SmallInteger, nullable=False, server_default=text("0")),
    Column("rank", SmallInteger, nullable=False, server_default=text("0")),
    Column("venue_order_id", NAME),
    Column("filled_quantity", Numeric, nullable=False, server_default=text("0")),
    Column("notional", Numeric, nullable=False, server_default=text("0")),
    Column("ends", ARRAY(Text), nullable=False, server_default="{}"),
    Column("cancel_asked", Integer, nullable=False, server_default=text("0")),
    Column("cancel_sent", Integer, nullable=False, server_default=text("0")),
    Column("cancel_refused", Integer, nullable=False, server_default=text("0")),
    Column("cancel_refused_at", MOMENT),
    Column("end_reasons", JSONB, nullable=False, server_default="{}"),
    Column("phase_reasons", JSONB, nullable=False, server_default="{}"),
    # Derived from the facts: a cache for filters, written in the same statement.
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("created_at", MOMENT, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    # Placing: not null while the order still has to be submitted.
    Column("submit_due_at", MOMENT),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_attempt_at", MOMENT),
    Column("maybe_sent_at", MOMENT),
    Column("lease_until", MOMENT),
    Column("last_error", Text),
    # Canceling: not null while a request still has to be sent or answered.
    Column("cancel_due_at", MOMENT),
    # Whether it is compared with the venue. Changes twice in an order's life: when the venue has it, and when it is
    # over and the venue's count agrees.
    Column("is_open_at_venue", Boolean, nullable=False, server_default=text("false")),
    # Its name at the venue, derived when it is stored: see domain.model.order_identity.
    Column("venue_client_order_id", NAME, nullable=False),
    # What the venue counted as filled when the order ended or was amended last.
    Column("venue_counted", Numeric),
    Column("venue_counted_at", MOMENT),
    # A fact: the terms as the venue has changed them, see domain.model.restatement. NULL: the client's terms apply.
    Column("restatement", JSONB),
    # A fact: the venue orders that replaced the first one, by their ids there: see domain.model.facts.Successor.
    Column("successors", JSONB),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("account_id", "client_order_id"),
    UniqueConstraint("venue_client_order_id"),
    at_most("account_id", ID_MAX_CHARACTERS),
    at_most("client_order_id", CLIENT_ORDER_ID_MAX_CHARACTERS),
    at_most("venue_client_order_id", VENUE_CLIENT_ORDER_ID_MAX_CHARACTERS),
    CheckConstraint("char_length(isin) = 12", name="isin"),
    at_most("symbol", CODE_MAX_CHARACTERS),
    CheckConstraint("side IN ('BUY', 'SELL')", name="side"),
    CheckConstraint("type IN ('MARKET', 'LIMIT')", name="type"),
    CheckConstraint("time_in_force IN ('DAY', 'GTC', 'IOC', 'FOK')", name="time_in_force"),
    positive_decimal("quantity"),
    exact_decimal("limit_price"),
    CheckConstraint("(type = 'LIMIT') = (limit_price IS NOT NULL)", name="limit_price_given"),
    at_most("venue_order_id", ID_MAX_CHARACTERS),
    at_most("status", CODE_MAX_CHARACTERS),
    CheckConstraint(f"char_length(last_error) <= {MESSAGE_MAX_CHARACTERS}", name="last_error"),
    # An order that the venue has reported can never be claimed again, by any program.
    CheckConstraint(
        "submit_due_at IS NULL OR (rank = 0 AND phase < 2 AND filled_quantity <= 0 AND cardinality(ends) = 0)",
        name="submit_due_at",
    ),
    exact_decimal("venue_counted"),
    CheckConstraint("num_nulls(venue_counted, venue_counted_at) IN (0, 2)", name="venue_count"),
    CheckConstraint("cancel_due_at IS NULL OR cancel_asked > cancel_refused", name="cancel_due_at"),
    postgresql_with={
        "fillfactor": "80",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_cost_delay": "0",
    },
)
Index("orders_account_created", orders.c.account_id, orders.c.created_at, orders.c.id)
Index("orders_created", orders.c.created_at, orders.c.id)
Index("orders_venue_order_id", orders.c.venue_order_id, postgresql_where=orders.c.venue_order_id.is_not(None))
Index("orders_submit_due", orders.c.submit_due_at, postgresql_where=orders.c.submit_due_at.is_not(None))
Index("orders_cancel_due", orders.c.cancel_due_at, postgresql_where=orders.c.cancel_due_at.is_not(None))
# Of nearly all orders there are none: a report about a successor finds its order by it.
Index(
    "orders_successors", orders.c.successors, postgresql_using="gin", postgresql_where=orders.c.successors.is_not(None)
)
Index("orders_open_at_venue", orders.c.id, postgresql_where=orders.c.is_open_at_venue)

executions = Table(
    "executions",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("account_id", NAME, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("venue", NAME, nullable=False),
    Column("venue_execution_id", NAME, nullable=False),
    Column("cumulative_quantity", Numeric),
    Column("fill_quantity", Numeric),
    Column("fill_price", Numeric),
    Column("correction_quantity", Numeric),
    Column("correction_price", Numeric),
    Column("corrected_at", MOMENT),
    Column("is_busted", Boolean, nullable=False, server_default=text("false")),
    Column("executed_at", MOMENT, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    # Another id of an execution that counts under its first one: see domain.model.execution_index.
    Column("amends", NAME),
    Column("repeats", NAME),
    Column("amended_at", ARRAY(MOMENT)),
    # By an operator, under our own id; and the venue's id for it, where the operator knew that.
    Column("is_booked", Boolean, nullable=False, server_default=text("false")),
    Column("booked_as", NAME),
    # The venue order of the execution, if that replaced the first one.
    Column("venue_order_id", NAME),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("venue", "venue_execution_id"),
    at_most("account_id", ID_MAX_CHARACTERS),
    at_most("venue", ID_MAX_CHARACTERS),
    at_most("venue_execution_id", ID_MAX_CHARACTERS),
    CheckConstraint(
        f"booked_as IS NULL OR (is_booked AND char_length(booked_as) BETWEEN 1 AND {ID_MAX_CHARACTERS})",
        name="booked_as",
    ),
    exact_decimal("cumulative_quantity"),
    exact_decimal("fill_quantity"),
    exact_decimal("fill_price"),
    exact_decimal("correction_quantity"),
    exact_decimal("correction_price"),
    at_most("amends", ID_MAX_CHARACTERS),
    at_most("venue_order_id", ID_MAX_CHARACTERS),
    at_most("repeats", ID_MAX_CHARACTERS),
    CheckConstraint("num_nonnulls(amends, repeats) < 2", name="counted"),
    CheckConstraint("num_nulls(fill_quantity, fill_price) IN (0, 2)", name="fill"),
    CheckConstraint(
        "num_nulls(correction_quantity, correction_price, corrected_at) IN (0, 3)",
        name="correction",
    ),
    postgresql_with={"autovacuum_vacuum_insert_scale_factor": "0.05"},
)
# Not unique: after a correction a venue may well reach the same cumulative quantity again.
Index("executions_order_cumulative", executions.c.order_id, executions.c.cumulative_quantity)
# They are few: all of them are read with every fill of their order that is looked up.
Index(
    "executions_order_amended",
    executions.c.order_id,
    postgresql_where=or_(
        executions.c.amends.is_not(None), executions.c.repeats.is_not(None), executions.c.amended_at.is_not(None)
    ),
)
Index("executions_booked", executions.c.order_id, postgresql_where=text("is_booked AND NOT is_busted"))

order_changes = Table(
    "order_changes",
    metadata,
    Column("account_id", NAME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    # The order after the change: the part that changes. The terms are the order's.
    Column("status", Text, nullable=False),
    Column("filled_quantity", Numeric, nullable=False),
    Column("notional", Numeric, nullable=False),
    Column("reason_source", Text),
    Column("reason_code", Text),
    Column("reason_message", Text),
    Column("venue_order_id", NAME),
    # The execution as it counted then.
    Column("execution_id", Uuid),
    Column("execution_quantity", Numeric),
    Column("execution_price", Numeric),
    Column("executed_at", MOMENT),
    Column("received_at", MOMENT),
    Column("restatement", JSONB),
    # How placing stood then, while the venue did not have the order: afterwards it stays as it is with the order.
    Column("placement", JSONB),
    PrimaryKeyConstraint("account_id", "sequence"),
    UniqueConstraint("order_id", "version"),
    at_most("reason_code", CODE_MAX_CHARACTERS),
    CheckConstraint(f"char_length(reason_message) <= {MESSAGE_MAX_CHARACTERS}", name="reason_message"),
    at_most("kind", CODE_MAX_CHARACTERS),
    at_most("status", CODE_MAX_CHARACTERS),
    postgresql_with={"autovacuum_vacuum_insert_scale_factor": "0.05"},
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", NAME, nullable=False),
    # The place of the account's newest change: no gaps, in the order of commits.
    Column("sequence", BigInteger, nullable=False),
    # How many of its orders are not final: accepting and recording count in the statement that makes it so.
    Column("open_orders", Integer, nullable=False, server_default=text("0")),
    # The times of the last second's orders; only stored while a limit of orders per second applies.
    Column("accepted_at", ARRAY(MOMENT), nullable=False, server_default="{}"),
    PrimaryKeyConstraint("id"),
    at_most("id", ID_MAX_CHARACTERS),
    # Few rows, each changed all the time: room for heap-only updates.
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0.02", "autovacuum_vacuum_cost_delay": "0"},
)
