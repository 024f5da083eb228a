"""The one statement that writes decided orders, their executions and their changes: everything or nothing."""

# Why it is as it is:
# - `locked` takes the orders by id and compares: FOR UPDATE gives the newest rows, not those of the snapshot. Besides
#   the version it compares the facts that may grow without a version (a rank behind a fill, an end behind another):
#   facts only grow, so a row that holds one which the new order lacks was written since that one was read. (Whether
#   the venue or we canceled counts for the status: of two reasons the venue's holds, and its name sorts last.)
# - `led` reads the epoch under a lock that a takeover waits for: no leader writes after its successor has begun,
#   however long it was paused in between. Without a fence ($64 is NULL) nobody's leadership is looked at.
# - Without the verdict nothing at all is written. Accounts come last (orders, then accounts, each by id: nobody
#   deadlocks) and are held only until the commit right behind.
# - An execution is inserted or, known already, completed. The row that a rival has just committed can be seen only
#   there, in DO UPDATE, so what must not be is written as NULL, which the columns forbid: the whole statement fails.
#   NULL order_id: the execution is another order's. NULL received_at: whoever decided did not know of the row (it has
#   another id), or the row knows something that the new one lacks.
# - An order that becomes final, or is no longer (a bust, evidence after we gave up), is counted with its account.
# - Most columns come as an array's text: see `db.write_arrays`.
# - Per-account numbers come from the client as arrays. The planner knows nothing of what a CTE holds, and a join of two
#   compares every row with every row; here every join is of one CTE with a table's primary key.
WRITE = """
WITH led AS MATERIALIZED (
    SELECT p.epoch = $65::bigint AS holds FROM stream_positions AS p WHERE p.venue = $64::text FOR SHARE
), locked AS MATERIALIZED (
    SELECT w.*, o.status AS read_status,
        o.version = w.read_version
        AND (w.attempt IS NULL OR w.attempt = o.attempt)
        AND NOT (w.unclaimed AND (o.lease_until IS NOT NULL OR o.maybe_sent_at IS NOT NULL))
        AND o.phase <= w.phase AND o.rank <= w.rank AND o.cancel_sent <= w.cancel_sent
        AND o.ends <@ coalesce(w.ends, '{}')::text[]
        AND (o.end_reasons #>> '{CANCELED,source}' > w.end_reasons::jsonb #>> '{CANCELED,source}') IS NOT TRUE
        AND (o.cancel_refused_at IS NULL OR o.cancel_refused_at <= w.cancel_refused_at) IS TRUE AS holds
    FROM unnest(
        $1::text::uuid[], $2::text::int[], $3::text::int[], $4::text::smallint[], $5::text::smallint[],
        $6::text::numeric[], $7::text::numeric[], $8::text::int[], $9::text::int[], $10::text::int[],
        $11::text::timestamptz[], $12::text::text[], $13::text::timestamptz[], $14::text::bool[],
        $15::text::bool[], $16::text::bool[], $17::text::int[], $18::text::bool[], $19::text::bool[],
        $20::text::bool[], $21::text::text[], $22::text::text[], $23::text::text[], $24::text::text[],
        $25::text::text[], $26::text::text[], $27::text::interval[], $28::text::interval[],
        $68::text::text[]
    ) AS w (
        id, read_version, version, phase, rank, filled_quantity, notional, cancel_asked, cancel_sent,
        cancel_refused, cancel_refused_at, status, updated_at, is_placing_over, is_cancel_open,
        is_open_at_venue, attempt, counts, may_have_been_sent, unclaimed, account_id, venue_order_id, ends,
        end_reasons, phase_reasons, error, next_in, cancel_in, restatement
    )
    JOIN orders AS o ON o.id = w.id AND o.account_id = w.account_id
    ORDER BY o.id
    FOR UPDATE OF o
), verdict AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE l.holds) = $67::int
        AND ($64::text IS NULL OR (SELECT p.holds FROM led AS p) IS TRUE) AS holds
    FROM locked AS l
), updated AS (
    UPDATE orders AS o SET
        version = w.version, updated_at = w.updated_at, status = w.status,
        phase = w.phase, rank = w.rank, venue_order_id = w.venue_order_id,
        filled_quantity = w.filled_quantity, notional = w.notional, ends = coalesce(w.ends, '{}')::text[],
        cancel_asked = w.cancel_asked, cancel_sent = w.cancel_sent, cancel_refused = w.cancel_refused,
        cancel_refused_at = w.cancel_refused_at,
        end_reasons = coalesce(w.end_reasons, '{}')::jsonb,
        phase_reasons = coalesce(w.phase_reasons, '{}')::jsonb || o.phase_reasons,
        is_open_at_venue = w.is_open_at_venue, restatement = w.restatement::jsonb,
        submit_due_at = CASE
            WHEN w.is_placing_over THEN NULL
            WHEN w.next_in IS NOT NULL THEN now() + w.next_in
            ELSE o.submit_due_at
        END,
        lease_until = CASE WHEN w.is_placing_over OR w.attempt IS NOT NULL THEN NULL ELSE o.lease_until END,
        attempts = o.attempts - CASE WHEN w.counts THEN 0 ELSE 1 END,
        maybe_sent_at = CASE WHEN w.may_have_been_sent THEN now() ELSE o.maybe_sent_at END,
        last_error = CASE WHEN w.attempt IS NOT NULL THEN w.error ELSE o.last_error END,
        cancel_due_at = CASE
            WHEN NOT w.is_cancel_open THEN NULL
            WHEN w.cancel_in IS NOT NULL THEN now() + w.cancel_in
            ELSE o.cancel_due_at
        END
    FROM locked AS w
    WHERE o.id = w.id AND (SELECT v.holds FROM verdict AS v)
    RETURNING o.id, o.attempts, o.last_attempt_at, o.submit_due_at, o.lease_until, o.last_error
), executed AS (
    INSERT INTO executions AS e (
        id, account_id, order_id, venue, venue_execution_id, cumulative_quantity, fill_quantity, fill_price,
        correction_quantity, correction_price, corrected_at, is_busted, executed_at, received_at
    )
    SELECT x.id, x.account_id, x.order_id, $29::text, x.venue_execution_id, x.cumulative_quantity, x.fill_quantity,
        x.fill_price, x.correction_quantity, x.correction_price, x.corrected_at, x.is_busted, x.executed_at,
        x.received_at
    FROM unnest(
        $30::text::uuid[], $31::text::uuid[], $32::text::numeric[], $33::text::numeric[], $34::text::numeric[],
        $35::text::numeric[], $36::text::numeric[], $37::text::timestamptz[], $38::text::bool[],
        $39::text::timestamptz[], $40::text::timestamptz[], $41::text::text[], $42::text::text[]
    ) AS x (
        id, order_id, cumulative_quantity, fill_quantity, fill_price, correction_quantity, correction_price,
        corrected_at, is_busted, executed_at, received_at, account_id, venue_execution_id
    )
    WHERE (SELECT v.holds FROM verdict AS v)
    ORDER BY x.venue_execution_id COLLATE "C"
    ON CONFLICT (venue, venue_execution_id) DO UPDATE SET
        order_id = CASE WHEN e.order_id = excluded.order_id THEN e.order_id END,
        received_at = CASE
            WHEN e.id = excluded.id
                AND (e.fill_quantity IS NULL OR excluded.fill_quantity IS NOT NULL)
                AND (e.corrected_at IS NULL OR excluded.corrected_at >= e.corrected_at)
                AND e.is_busted <= excluded.is_busted
            THEN e.received_at
        END,
        cumulative_quantity = excluded.cumulative_quantity, executed_at = excluded.executed_at,
        fill_quantity = excluded.fill_quantity, fill_price = excluded.fill_price,
        correction_quantity = excluded.correction_quantity, correction_price = excluded.correction_price,
        corrected_at = excluded.corrected_at, is_busted = excluded.is_busted
    RETURNING e.id
), advanced AS (
    INSERT INTO accounts AS a (id, sequence, open_orders)
    SELECT n.id, sum(n.changes), sum(n.opened)
    FROM (
        SELECT c.id, c.changes, 0 AS opened FROM unnest($43::text[], $44::bigint[]) AS c (id, changes)
        UNION ALL
        SELECT l.account_id, 0, CASE WHEN l.status = ANY($66::text[]) THEN -1 ELSE 1 END FROM locked AS l
        WHERE (l.status = ANY($66::text[])) <> (l.read_status = ANY($66::text[]))
    ) AS n
    WHERE (SELECT v.holds FROM verdict AS v)
        AND (SELECT count(*) FROM updated) + (SELECT count(*) FROM executed) >= 0
    GROUP BY n.id
    ORDER BY n.id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
        sequence = a.sequence + excluded.sequence, open_orders = a.open_orders + excluded.open_orders
    RETURNING a.id, a.sequence
), ends AS MATERIALIZED (
    SELECT array_agg(a.sequence ORDER BY a.id) FILTER (WHERE a.id = ANY($43::text[])) AS sequences FROM advanced AS a
), recorded AS (
    INSERT INTO order_changes (
        account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional, reason_source,
        reason_code, reason_message, venue_order_id, execution_id, execution_quantity, execution_price, executed_at,
        received_at, restatement
    )
    SELECT c.account_id, (SELECT e.sequences FROM ends AS e)[c.account_number] - c.behind, c.order_id, c.version,
        c.kind, c.at, c.status, c.filled_quantity, c.notional, c.reason_source, c.reason_code, c.reason_message,
        c.venue_order_id, c.execution_id, c.execution_quantity, c.execution_price, c.executed_at, c.received_at,
        c.restatement::jsonb
    FROM unnest(
        $45::text::int[], $46::text::int[], $47::text::uuid[], $48::text::int[], $49::text::text[],
        $50::text::timestamptz[], $51::text::text[], $52::text::numeric[], $53::text::numeric[],
        $54::text::text[], $55::text::uuid[], $56::text::numeric[], $57::text::numeric[],
        $58::text::timestamptz[], $59::text::timestamptz[], $60::text::text[], $61::text::text[],
        $62::text::text[], $63::text::text[], $69::text::text[]
    ) AS c (
        account_number, behind, order_id, version, kind, at, status, filled_quantity, notional, reason_source,
        execution_id, execution_quantity, execution_price, executed_at, received_at, account_id, reason_code,
        reason_message, venue_order_id, restatement
    )
    WHERE (SELECT v.holds FROM verdict AS v)
)
SELECT (SELECT v.holds FROM verdict AS v) AS holds, (SELECT p.holds FROM led AS p) AS is_led,
    (SELECT e.sequences FROM ends AS e) AS sequences,
    array_agg(u.id) AS ids, array_agg(u.attempts) AS attempts, array_agg(u.last_attempt_at) AS last_attempt_at,
    array_agg(u.submit_due_at) AS submit_due_at, array_agg(u.lease_until) AS lease_until,
    array_agg(u.last_error) AS last_error
FROM updated AS u
"""
