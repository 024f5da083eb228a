"""The one statement that writes decided orders, their executions and their changes: everything or nothing.

It comes in variants, because PostgreSQL checks every column that a statement names against the role that runs it
(`db.roles`): for ingest under the fence of its leadership, for the worker without one, and for the API, which writes
cancel requests and never reports of the venue. One of the worker's applies an operator's request.
"""

from db.operator_actions import append_action
from db.resolutions import append_requested

# Reasons:
# - `locked` locks the orders by id and compares: FOR UPDATE returns the newest rows, not those of the snapshot. Besides
#   the version it compares the facts that may grow without a version (a rank after a fill, an end after another): facts
#   only grow, so a row with one that the new order lacks was written since that one was read. (Whether the venue or we
#   canceled affects the status: of two reasons the venue's counts, and its name sorts last.)
# - `led` reads the epoch under a lock that a takeover waits for: no leader writes after its successor has begun, also
#   after a long pause. Without a fence leadership is not checked.
# - A request also compares what it does not write, for equality: any other decision is a conflict, never lost. Only the
#   venue's count may differ: it does not affect the status, and a request does not change it.
# - Without the verdict nothing at all is written. Accounts are last (orders, then accounts, each by id: none deadlock)
#   and are locked only until the commit directly after.
# - An execution is inserted or, known already, completed. A row that a concurrent statement has just committed is
#   visible only there, in DO UPDATE, so a forbidden value is written as NULL, which the columns reject: the whole
#   statement fails. NULL is_busted: the execution is another order's. NULL executed_at: the decision did not know of
#   the row (it has another id), or the row has a fact that the new one lacks. The identity of an execution is never
#   updated.
# - An order that becomes final, or is no longer (a bust, a report after we gave up), is counted with its account.
# - Most columns are the text of an array: see `db.write_arrays`.
# - Per-account numbers are sent by the client as arrays. The planner has no statistics of a CTE, and a join of two
#   compares every row with every row; here every join is of one CTE with a table's primary key.
_STATEMENT = """
WITH {led}locked AS MATERIALIZED (
    SELECT w.*, o.status AS read_status,
        o.version = w.read_version
        AND (w.attempt IS NULL OR w.attempt = o.attempt)
        AND NOT (w.unclaimed AND (o.lease_until IS NOT NULL OR o.maybe_sent_at IS NOT NULL))
        AND o.phase <= w.phase AND o.rank <= w.rank AND o.cancel_sent <= w.cancel_sent
        AND o.ends <@ coalesce(w.ends, '{{}}')::text[]
        AND (o.end_reasons #>> '{{CANCELED,source}}' > w.end_reasons::jsonb #>> '{{CANCELED,source}}') IS NOT TRUE
        AND (o.cancel_refused_at IS NULL OR o.cancel_refused_at <= w.cancel_refused_at) IS TRUE
        AND {others_hold} AS holds
    FROM unnest(
        $1::text::uuid[], $2::text::int[], $3::text::int[], $4::text::smallint[], $5::text::smallint[],
        $6::text::numeric[], $7::text::numeric[], $8::text::int[], $9::text::int[], $10::text::int[],
        $11::text::timestamptz[], $12::text::text[], $13::text::timestamptz[], $14::text::bool[],
        $15::text::bool[], $16::text::bool[], $17::text::int[], $18::text::bool[], $19::text::bool[],
        $20::text::bool[], $21::text::text[], $22::text::text[], $23::text::text[], $24::text::text[],
        $25::text::text[], $26::text::text[], $27::text::interval[], $28::text::interval[]{fact_arrays}
    ) AS w (
        id, read_version, version, phase, rank, filled_quantity, notional, cancel_asked, cancel_sent,
        cancel_refused, cancel_refused_at, status, updated_at, is_placing_over, is_cancel_open,
        is_open_at_venue, attempt, counts, may_have_been_sent, unclaimed, account_id, venue_order_id, ends,
        end_reasons, phase_reasons, error, next_in, cancel_in{fact_columns}
    )
    JOIN orders AS o ON o.id = w.id AND o.account_id = w.account_id
    ORDER BY o.id
    FOR UPDATE OF o
), verdict AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE l.holds) = $52::int{is_led} AS holds
    FROM locked AS l
), updated AS (
    UPDATE orders AS o SET
        {columns}
    FROM locked AS w
    WHERE o.id = w.id AND (SELECT v.holds FROM verdict AS v)
    RETURNING o.id, o.attempts, o.last_attempt_at, o.submit_due_at, o.lease_until, o.last_error
{executed}), advanced AS (
    INSERT INTO accounts AS a (id, sequence, open_orders)
    SELECT n.id, sum(n.changes), sum(n.opened)
    FROM (
        SELECT c.id, c.changes, 0 AS opened FROM unnest($29::text[], $30::bigint[]) AS c (id, changes)
        UNION ALL
        SELECT l.account_id, 0, CASE WHEN l.status = ANY($51::text[]) THEN -1 ELSE 1 END FROM locked AS l
        WHERE (l.status = ANY($51::text[])) <> (l.read_status = ANY($51::text[]))
    ) AS n
    WHERE (SELECT v.holds FROM verdict AS v)
        AND (SELECT count(*) FROM updated){count_executed} >= 0
    GROUP BY n.id
    ORDER BY n.id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
        sequence = a.sequence + excluded.sequence, open_orders = a.open_orders + excluded.open_orders
    RETURNING a.id, a.sequence
), ends AS MATERIALIZED (
    SELECT array_agg(a.sequence ORDER BY a.id) FILTER (WHERE a.id = ANY($29::text[])) AS sequences FROM advanced AS a
), recorded AS (
    INSERT INTO order_changes (
        account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional, reason_source,
        reason_code, reason_message, venue_order_id, restatement, placement{execution_columns}
    )
    SELECT c.account_id, (SELECT e.sequences FROM ends AS e)[c.account_number] - c.behind, c.order_id, c.version,
        c.kind, c.at, c.status, c.filled_quantity, c.notional, c.reason_source, c.reason_code, c.reason_message,
        c.venue_order_id, c.restatement::jsonb,
        CASE WHEN c.venue_order_id IS NULL AND c.status IN ('PENDING', 'IN_DOUBT', 'PENDING_CANCEL') THEN (
            SELECT jsonb_build_object(
                'attempts', u.attempts, 'last_attempt_at', u.last_attempt_at,
                'next_attempt_at', CASE WHEN u.lease_until IS NULL THEN u.submit_due_at END, 'last_error', u.last_error
            ) FROM updated AS u WHERE u.id = c.order_id
        ) END{execution_values}
    FROM unnest(
        $31::text::int[], $32::text::int[], $33::text::uuid[], $34::text::int[], $35::text::text[],
        $36::text::timestamptz[], $37::text::text[], $38::text::numeric[], $39::text::numeric[],
        $40::text::text[], $41::text::uuid[], $42::text::numeric[], $43::text::numeric[],
        $44::text::timestamptz[], $45::text::timestamptz[], $46::text::text[], $47::text::text[],
        $48::text::text[], $49::text::text[], $50::text::text[]
    ) AS c (
        account_number, behind, order_id, version, kind, at, status, filled_quantity, notional, reason_source,
        execution_id, execution_quantity, execution_price, executed_at, received_at, account_id, reason_code,
        reason_message, venue_order_id, restatement
    )
    WHERE (SELECT v.holds FROM verdict AS v)
){acted}
SELECT {actions}(SELECT v.holds FROM verdict AS v) AS holds, {led_holds} AS is_led,
    (SELECT e.sequences FROM ends AS e) AS sequences,
    array_agg(u.id) AS ids, array_agg(u.attempts) AS attempts, array_agg(u.last_attempt_at) AS last_attempt_at,
    array_agg(u.submit_due_at) AS submit_due_at, array_agg(u.lease_until) AS lease_until,
    array_agg(u.last_error) AS last_error
FROM updated AS u
"""

_CANCEL_DUE_AT = """cancel_due_at = CASE
            WHEN NOT w.is_cancel_open THEN NULL
            WHEN w.cancel_in IS NOT NULL THEN now() + w.cancel_in
            ELSE o.cancel_due_at
        END"""
_RECORDED_COLUMNS = f"""version = w.version, updated_at = w.updated_at, status = w.status,
        phase = w.phase, rank = w.rank, venue_order_id = w.venue_order_id,
        filled_quantity = w.filled_quantity, notional = w.notional, ends = coalesce(w.ends, '{{}}')::text[],
        cancel_asked = w.cancel_asked, cancel_sent = w.cancel_sent, cancel_refused = w.cancel_refused,
        cancel_refused_at = w.cancel_refused_at,
        end_reasons = coalesce(w.end_reasons, '{{}}')::jsonb,
        phase_reasons = coalesce(w.phase_reasons, '{{}}')::jsonb || o.phase_reasons,
        is_open_at_venue = w.is_open_at_venue,
        venue_counted = w.venue_counted, venue_counted_at = w.venue_counted_at, restatement = w.restatement::jsonb,
        successors = w.successors::jsonb,
        submit_due_at = CASE
            WHEN w.is_placing_over THEN NULL
            WHEN w.next_in IS NOT NULL THEN now() + w.next_in
            ELSE o.submit_due_at
        END,
        lease_until = CASE WHEN w.is_placing_over OR w.attempt IS NOT NULL THEN NULL ELSE o.lease_until END,
        attempts = o.attempts - CASE WHEN w.counts THEN 0 ELSE 1 END,
        maybe_sent_at = CASE WHEN w.may_have_been_sent THEN now() ELSE o.maybe_sent_at END,
        last_error = CASE WHEN w.attempt IS NOT NULL THEN w.error ELSE o.last_error END,
        {_CANCEL_DUE_AT}"""
_REQUESTED_COLUMNS = f"""version = w.version, updated_at = w.updated_at, status = w.status,
        cancel_asked = w.cancel_asked,
        ends = coalesce(w.ends, '{{}}')::text[], end_reasons = coalesce(w.end_reasons, '{{}}')::jsonb,
        submit_due_at = CASE WHEN w.is_placing_over THEN NULL ELSE o.submit_due_at END,
        {_CANCEL_DUE_AT}"""
_UNWRITTEN_IS_EQUAL = """w.attempt IS NULL AND o.venue_order_id IS NOT DISTINCT FROM w.venue_order_id
        AND (o.phase, o.rank, o.filled_quantity, o.notional, o.cancel_sent, o.cancel_refused)
            = (w.phase, w.rank, w.filled_quantity, w.notional, w.cancel_sent, w.cancel_refused)"""
# Of two counts at one time the larger one is the newer. Successors grow within themselves: they must be unchanged since
# they were read.
_OTHERS_HOLD = """(
            o.venue_counted_at IS NULL
            OR (o.venue_counted_at, o.venue_counted) <= (w.venue_counted_at, w.venue_counted)
        ) IS TRUE
        AND o.successors IS NOT DISTINCT FROM w.read_successors::jsonb"""
_EXECUTED = """), executed AS (
    INSERT INTO executions AS e (
        id, account_id, order_id, venue, venue_execution_id, cumulative_quantity, fill_quantity, fill_price,
        correction_quantity, correction_price, corrected_at, is_busted, executed_at, received_at, amends, repeats,
        amended_at, venue_order_id{booking_columns}
    )
    SELECT x.id, x.account_id, x.order_id, $53::text, x.venue_execution_id, x.cumulative_quantity, x.fill_quantity,
        x.fill_price, x.correction_quantity, x.correction_price, x.corrected_at, x.is_busted, x.executed_at,
        x.received_at, x.amends, x.repeats, x.amended_at::timestamptz[], x.venue_order_id{booking_values}
    FROM unnest(
        $54::text::uuid[], $55::text::uuid[], $56::text::numeric[], $57::text::numeric[], $58::text::numeric[],
        $59::text::numeric[], $60::text::numeric[], $61::text::timestamptz[], $62::text::bool[],
        $63::text::timestamptz[], $64::text::timestamptz[], $65::text::text[], $66::text::text[],
        $69::text::text[], $70::text::text[], $71::text::text[], $75::text::text[]
    ) AS x (
        id, order_id, cumulative_quantity, fill_quantity, fill_price, correction_quantity, correction_price,
        corrected_at, is_busted, executed_at, received_at, account_id, venue_execution_id, amends, repeats, amended_at,
        venue_order_id
    )
    WHERE (SELECT v.holds FROM verdict AS v)
    ORDER BY x.venue_execution_id COLLATE "C"
    ON CONFLICT (venue, venue_execution_id) DO UPDATE SET
        is_busted = CASE WHEN e.order_id = excluded.order_id THEN excluded.is_busted END,
        executed_at = CASE
            WHEN e.id = excluded.id
                AND (e.fill_quantity IS NULL OR excluded.fill_quantity IS NOT NULL)
                AND (e.corrected_at IS NULL OR excluded.amends IS NOT NULL
                    OR excluded.corrected_at >= e.corrected_at)
                AND e.is_busted <= (excluded.is_busted OR excluded.amends IS NOT NULL)
                AND (e.amends IS NULL OR excluded.amends IS NOT NULL)
                AND (e.amended_at IS NULL OR excluded.amends IS NOT NULL OR e.amended_at <@ excluded.amended_at)
            THEN excluded.executed_at
        END,
        cumulative_quantity = excluded.cumulative_quantity,
        fill_quantity = excluded.fill_quantity, fill_price = excluded.fill_price,
        correction_quantity = excluded.correction_quantity, correction_price = excluded.correction_price,
        corrected_at = excluded.corrected_at, amends = excluded.amends, repeats = excluded.repeats,
        amended_at = excluded.amended_at
    RETURNING e.id
"""
_LED = """led AS MATERIALIZED (
    SELECT p.epoch = $77::bigint AS holds FROM stream_positions AS p WHERE p.venue = $76::text FOR SHARE
), """
_EXECUTION_COLUMNS = ("execution_id", "execution_quantity", "execution_price", "executed_at", "received_at")
_RECORDS = {
    "others_hold": _OTHERS_HOLD,
    "fact_arrays": (
        ", $67::text::numeric[], $68::text::timestamptz[], $72::text::text[], $73::text::text[], $74::text::text[]"
    ),
    "fact_columns": ", venue_counted, venue_counted_at, restatement, successors, read_successors",
    "columns": _RECORDED_COLUMNS,
    "executed": _EXECUTED.format(booking_columns="", booking_values=""),
    "count_executed": " + (SELECT count(*) FROM executed)",
    "execution_columns": "".join(f", {name}" for name in _EXECUTION_COLUMNS),
    "execution_values": "".join(f", c.{name}" for name in _EXECUTION_COLUMNS),
    "acted": "",
    "actions": "",
}
_REQUESTS = {
    "others_hold": _UNWRITTEN_IS_EQUAL,
    "fact_arrays": "",
    "fact_columns": "",
    "columns": _REQUESTED_COLUMNS,
    "executed": "",
    "count_executed": "",
    "execution_columns": "",
    "execution_values": "",
    "led": "",
    "is_led": "",
    "led_holds": "true",
}
ARGUMENTS_OF_REQUESTS = 52
ARGUMENTS_UNFENCED = 75
"""How many arguments of `db.write_arrays` WRITE_REQUESTS and WRITE take, from the first; WRITE_FENCED takes all."""
# From `ends`, so that the accounts are locked before the head of the chain of actions is.
_ACTED = f""", acted AS MATERIALIZED (
    SELECT {append_action(ARGUMENTS_OF_REQUESTS + 1)} AS sequence
    FROM ends AS e WHERE (SELECT v.holds FROM verdict AS v)
)"""  # noqa: S608 - our own expression

WRITE_FENCED = _STATEMENT.format(
    **_RECORDS,
    led=_LED,
    is_led=" AND (SELECT p.holds FROM led AS p) IS TRUE",
    led_holds="(SELECT p.holds FROM led AS p)",
)
WRITE = _STATEMENT.format(**_RECORDS, led="", is_led="", led_holds="true")
WRITE_REQUESTS = _STATEMENT.format(**_REQUESTS, acted="", actions="")
# The same for an operator who acts on another account's order, with the arguments of the action after the others. A
# separate statement, so that all others cost nothing more.
WRITE_REQUESTS_WITH_ACTION = _STATEMENT.format(
    **_REQUESTS, acted=_ACTED, actions="(SELECT count(*) FROM acted AS a) AS actions, "
)
# An operator's stored request, applied by the worker: it writes everything or, if the request is done already, nothing.
# The request is locked before the orders, and never after one. At most one new execution is booked.
WRITE_RESOLUTION = _STATEMENT.format(
    **{
        **_RECORDS,
        "executed": _EXECUTED.format(
            booking_columns=", is_booked, booked_as",
            booking_values=f", ${ARGUMENTS_UNFENCED + 4}::bool, ${ARGUMENTS_UNFENCED + 5}::text",
        ),
        "acted": f""", acted AS MATERIALIZED (
    SELECT {append_requested(ARGUMENTS_UNFENCED + 1)} AS sequence
    FROM ends AS e WHERE (SELECT v.holds FROM verdict AS v)
)""",  # noqa: S608 - our own expression
        "actions": "(SELECT count(*) FROM acted AS a) AS actions, ",
    },
    led=f"""asked AS MATERIALIZED (
    SELECT r.done_at IS NULL AS waits FROM resolutions AS r WHERE r.id = ${ARGUMENTS_UNFENCED + 1}::uuid FOR UPDATE
), """,  # noqa: S608 - our own number
    is_led=" AND (SELECT a.waits FROM asked AS a) IS TRUE",
    led_holds="true",
)
