-- The statements of the version before migration 0005, as its processes prepare them.
-- name: store one order
WITH free AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM trading_halts AS h WHERE h.resumed_at IS NULL AND h.account_id IN ($2, '') FOR KEY SHARE
    ) AND NOT EXISTS (
        SELECT FROM account_limits AS l WHERE l.account_id IN ($2, '')
    ) AS is_free
), inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, place_due_at
    )
    SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::numeric, $10::numeric,
        'PENDING', $11::timestamptz, $11, now()
    FROM free AS f WHERE f.is_free
    ON CONFLICT (account_id, client_order_id) DO NOTHING
    RETURNING o.id
), advanced AS (
    INSERT INTO accounts AS a (id, sequence, open_orders)
    SELECT $2, 1, 1 FROM inserted
    ON CONFLICT (id) DO UPDATE SET
        sequence = a.sequence + 1, open_orders = a.open_orders + 1, accepted_at = excluded.accepted_at
    RETURNING a.sequence
), recorded AS (
    INSERT INTO order_changes AS c (
        account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional
    )
    SELECT $2, a.sequence, $1, 1, 'RECEIVED', $11, 'PENDING', 0, 0
    FROM advanced AS a
    RETURNING c.order_id, c.sequence
)
SELECT now() AS place_due_at, (SELECT f.is_free FROM free AS f) AS is_free,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences, '{}'::int[] AS loads
FROM recorded AS r

-- name: store orders
WITH free AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM trading_halts AS h WHERE h.resumed_at IS NULL AND h.account_id = ANY($12::text[] || ''::text)
        FOR KEY SHARE
    ) AND NOT EXISTS (
        SELECT FROM account_limits AS l WHERE l.account_id = ANY($12::text[] || ''::text)
    ) AS is_free
), inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, place_due_at
    )
    SELECT n.id, n.account_id, n.client_order_id, n.isin, n.symbol, n.side, n.type, n.time_in_force, n.quantity,
        n.limit_price, 'PENDING', n.created_at, n.created_at, now()
    FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::text::text[], $8::text::text[], $9::text::numeric[], $10::text::numeric[], $11::text::timestamptz[]) AS n (id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price, created_at) WHERE (SELECT f.is_free FROM free AS f)
    ORDER BY n.account_id COLLATE "C", n.client_order_id COLLATE "C"
    ON CONFLICT (account_id, client_order_id) DO NOTHING
    RETURNING o.id, o.account_id, o.created_at
), numbered AS MATERIALIZED (
    SELECT i.*,
        dense_rank() OVER (ORDER BY i.account_id) AS account_number,
        row_number() OVER (PARTITION BY i.account_id ORDER BY i.id DESC) - 1 AS behind
    FROM inserted AS i
), advanced AS (
    INSERT INTO accounts AS a (id, sequence, open_orders, accepted_at)
    SELECT n.account_id, n.count, n.count, '{}'
    FROM (SELECT i.account_id, count(*) AS count FROM inserted AS i GROUP BY i.account_id) AS n
    ORDER BY n.account_id
    ON CONFLICT (id) DO UPDATE SET
        sequence = a.sequence + excluded.sequence, open_orders = a.open_orders + excluded.open_orders,
        accepted_at = excluded.accepted_at
    RETURNING a.id, a.sequence
), ends AS MATERIALIZED (
    SELECT array_agg(a.sequence ORDER BY a.id) AS sequences FROM advanced AS a
), recorded AS (
    INSERT INTO order_changes AS c (
        account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional
    )
    SELECT n.account_id, (SELECT e.sequences FROM ends AS e)[n.account_number] - n.behind, n.id, 1, 'RECEIVED',
        n.created_at, 'PENDING', 0, 0
    FROM numbered AS n
    RETURNING c.order_id, c.sequence
)
SELECT now() AS place_due_at, (SELECT f.is_free FROM free AS f) AS is_free,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences, '{}'::int[] AS loads
FROM recorded AS r

-- name: store orders within limits
WITH halted AS MATERIALIZED (
    SELECT h.account_id FROM trading_halts AS h
    WHERE h.resumed_at IS NULL AND (h.account_id = '' OR h.account_id = ANY($12::text[]))
    FOR KEY SHARE
), locked AS MATERIALIZED (
    SELECT a.account
    FROM (SELECT u.id FROM unnest($12::text[]) AS u (id) ORDER BY u.id COLLATE "C") AS k
    CROSS JOIN LATERAL (SELECT b AS account FROM accounts AS b WHERE b.id = k.id FOR UPDATE) AS a
    WHERE $16::bool
), locks AS MATERIALIZED (
    SELECT array_agg(l.account ORDER BY (l.account).id) AS accounts,
        count(*) < cardinality($12::text[]) AND $16::bool AS are_missing
    FROM locked AS l
), loads AS MATERIALIZED (
    SELECT k.id, k.number, l.max_open_orders, coalesce(l.max_orders_per_second, $14::int) AS max_orders_per_second,
        l.set_at IS DISTINCT FROM ($13::timestamptz[])[k.number] AS is_stale,
        CASE
            WHEN EXISTS (SELECT FROM halted AS h WHERE h.account_id = '') THEN 'ALL'
            WHEN k.id IN (SELECT h.account_id FROM halted AS h) THEN 'ACCOUNT'
        END AS halt,
        CASE
            WHEN ((SELECT s.accounts FROM locks AS s)[k.number]).open_orders < 0 THEN 0
            ELSE ((SELECT s.accounts FROM locks AS s)[k.number]).open_orders
        END AS open_orders,
        CASE WHEN coalesce(l.max_orders_per_second, $14::int) IS NOT NULL THEN ARRAY(
            SELECT m FROM unnest(((SELECT s.accounts FROM locks AS s)[k.number]).accepted_at) AS m
            WHERE m > clock_timestamp() - interval '1 second' AND m <= clock_timestamp() ORDER BY m
        ) END AS accepted_at
    FROM unnest($12::text[]) WITH ORDINALITY AS k (id, number)
    LEFT JOIN LATERAL (
        SELECT * FROM account_limits AS a WHERE a.account_id IN (k.id, '') ORDER BY a.account_id DESC LIMIT 1
    ) AS l ON true
), rooms AS MATERIALIZED (
    SELECT l.*, CASE
        WHEN l.halt IS NOT NULL OR l.is_stale OR (SELECT s.are_missing FROM locks AS s) THEN 0
        WHEN num_nulls(l.max_open_orders, l.max_orders_per_second) < 2 THEN greatest(0, least(
            l.max_open_orders - l.open_orders, l.max_orders_per_second - cardinality(l.accepted_at)
        ))
    END AS room
    FROM loads AS l
), desk AS MATERIALIZED (
    SELECT array_agg(r.room ORDER BY r.number) AS rooms FROM rooms AS r
), asked AS MATERIALIZED (
    SELECT n.*, (SELECT d.rooms FROM desk AS d)[n.account_number] AS room
    FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::text::text[], $8::text::text[], $9::text::numeric[], $10::text::numeric[], $11::text::timestamptz[], $15::int[]) WITH ORDINALITY AS n (id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price, created_at, account_number, place)
), fitting AS MATERIALIZED (
    SELECT a.place FROM (
        SELECT q.place, q.room, row_number() OVER (PARTITION BY q.account_number ORDER BY q.place) AS rank
        FROM asked AS q
        WHERE q.room > 0 AND NOT EXISTS (
            SELECT FROM orders AS o WHERE o.account_id = q.account_id AND o.client_order_id = q.client_order_id
            OFFSET 0
        )
    ) AS a
    WHERE a.rank <= a.room
), inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, place_due_at
    )
    SELECT n.id, n.account_id, n.client_order_id, n.isin, n.symbol, n.side, n.type, n.time_in_force, n.quantity,
        n.limit_price, 'PENDING', n.created_at, n.created_at, now()
    FROM asked AS n WHERE n.room IS NULL OR n.place IN (SELECT f.place FROM fitting AS f)
    ORDER BY n.account_id COLLATE "C", n.client_order_id COLLATE "C"
    ON CONFLICT (account_id, client_order_id) DO NOTHING
    RETURNING o.id, o.account_id, o.created_at
), numbered AS MATERIALIZED (
    SELECT i.*,
        dense_rank() OVER (ORDER BY i.account_id) AS account_number,
        row_number() OVER (PARTITION BY i.account_id ORDER BY i.id DESC) - 1 AS behind
    FROM inserted AS i
), advanced AS (
    INSERT INTO accounts AS a (id, sequence, open_orders, accepted_at)
    SELECT n.account_id, n.count, n.count, coalesce(
        CASE WHEN (SELECT bool_or(r.max_orders_per_second IS NOT NULL) FROM rooms AS r) THEN (
            SELECT r.accepted_at || array_fill(clock_timestamp(), ARRAY[n.count::int])
            FROM rooms AS r WHERE r.id = n.account_id
        ) END,
        '{}'
    )
    FROM (SELECT i.account_id, count(*) AS count FROM inserted AS i GROUP BY i.account_id) AS n
    ORDER BY n.account_id
    ON CONFLICT (id) DO UPDATE SET
        sequence = a.sequence + excluded.sequence, open_orders = a.open_orders + excluded.open_orders,
        accepted_at = excluded.accepted_at
    RETURNING a.id, a.sequence
), ends AS MATERIALIZED (
    SELECT array_agg(a.sequence ORDER BY a.id) AS sequences FROM advanced AS a
), recorded AS (
    INSERT INTO order_changes AS c (
        account_id, sequence, order_id, version, kind, at, status, filled_quantity, notional
    )
    SELECT n.account_id, (SELECT e.sequences FROM ends AS e)[n.account_number] - n.behind, n.id, 1, 'RECEIVED',
        n.created_at, 'PENDING', 0, 0
    FROM numbered AS n
    RETURNING c.order_id, c.sequence
)
SELECT now() AS place_due_at, (SELECT s.are_missing FROM locks AS s) AS are_missing,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences,
    ARRAY(
        SELECT ROW(
            l.id, l.halt, l.is_stale, l.max_open_orders, l.max_orders_per_second, l.open_orders,
            cardinality(l.accepted_at), l.accepted_at[1] + interval '1 second' - clock_timestamp()
        )
        FROM rooms AS l WHERE l.room IS NOT NULL
    ) AS loads
FROM recorded AS r

-- name: claim
WITH gate AS MATERIALIZED (
    SELECT g.failures, g.probe_at IS NOT NULL AS is_open,
        greatest(g.paused_until, g.probe_at) > now() IS TRUE AS is_shut
    FROM venue_gates AS g WHERE g.venue = $2
), halted AS MATERIALIZED (
    SELECT array_agg(h.account_id) AS accounts
    FROM (SELECT t.account_id FROM trading_halts AS t WHERE t.resumed_at IS NULL FOR KEY SHARE) AS h
), due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM gate WHERE is_shut)
        AND CASE WHEN (SELECT h.accounts FROM halted AS h)::text[] IS NULL THEN true ELSE o.maybe_sent_at IS NOT NULL OR o.lease_until IS NOT NULL OR NOT ('' = ANY((SELECT h.accounts FROM halted AS h)::text[]) OR o.account_id = ANY((SELECT h.accounts FROM halted AS h)::text[])) END AND o.id = ANY($3::uuid[]) AND o.place_due_at <= now() ORDER BY o.id LIMIT (SELECT CASE WHEN is_open THEN 1 END FROM gate) FOR UPDATE
), probe AS (
    UPDATE venue_gates AS g SET probe_at = now() + $1::interval / 2
    WHERE g.venue = $2 AND g.probe_at <= now() AND EXISTS (SELECT FROM due)
    RETURNING g.venue
)
UPDATE orders AS o SET
    attempt = o.attempt + 1, attempts = o.attempts + 1, last_attempt_at = now(),
    maybe_sent_at = greatest(o.maybe_sent_at, o.lease_until),
    lease_until = now() + $1::interval, place_due_at = now() + $1::interval
WHERE o.id = ANY (ARRAY(SELECT id FROM due)) AND ((SELECT is_open FROM gate) IS NOT TRUE OR EXISTS (SELECT FROM probe))
RETURNING o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue, coalesce((SELECT is_open FROM gate), false) AS is_probe,
    coalesce((SELECT failures FROM gate), 0) AS venue_failures, ('' = ANY((SELECT h.accounts FROM halted AS h)::text[]) OR o.account_id = ANY((SELECT h.accounts FROM halted AS h)::text[])) IS TRUE AS is_halted

-- name: claim what is overdue
WITH gate AS MATERIALIZED (
    SELECT g.failures, g.probe_at IS NOT NULL AS is_open,
        greatest(g.paused_until, g.probe_at) > now() IS TRUE AS is_shut
    FROM venue_gates AS g WHERE g.venue = $2
), halted AS MATERIALIZED (
    SELECT array_agg(h.account_id) AS accounts
    FROM (SELECT t.account_id FROM trading_halts AS t WHERE t.resumed_at IS NULL FOR KEY SHARE) AS h
), due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM gate WHERE is_shut)
        AND CASE WHEN (SELECT h.accounts FROM halted AS h)::text[] IS NULL THEN true ELSE o.maybe_sent_at IS NOT NULL OR o.lease_until IS NOT NULL OR NOT ('' = ANY((SELECT h.accounts FROM halted AS h)::text[]) OR o.account_id = ANY((SELECT h.accounts FROM halted AS h)::text[])) END AND o.place_due_at < now() - $3::interval ORDER BY o.place_due_at LIMIT least($4::int, (SELECT CASE WHEN is_open THEN 1 END FROM gate)) FOR UPDATE SKIP LOCKED
), probe AS (
    UPDATE venue_gates AS g SET probe_at = now() + $1::interval / 2
    WHERE g.venue = $2 AND g.probe_at <= now() AND EXISTS (SELECT FROM due)
    RETURNING g.venue
)
UPDATE orders AS o SET
    attempt = o.attempt + 1, attempts = o.attempts + 1, last_attempt_at = now(),
    maybe_sent_at = greatest(o.maybe_sent_at, o.lease_until),
    lease_until = now() + $1::interval, place_due_at = now() + $1::interval
WHERE o.id = ANY (ARRAY(SELECT id FROM due)) AND ((SELECT is_open FROM gate) IS NOT TRUE OR EXISTS (SELECT FROM probe))
RETURNING o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue, coalesce((SELECT is_open FROM gate), false) AS is_probe,
    coalesce((SELECT failures FROM gate), 0) AS venue_failures, ('' = ANY((SELECT h.accounts FROM halted AS h)::text[]) OR o.account_id = ANY((SELECT h.accounts FROM halted AS h)::text[])) IS TRUE AS is_halted

-- name: claim cancel requests
WITH due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM venue_gates AS g WHERE g.venue = $2 AND g.paused_until > now()) AND o.id = ANY($3::uuid[]) AND o.cancel_due_at <= now() ORDER BY o.id LIMIT ALL FOR UPDATE
)
UPDATE orders AS o SET cancel_due_at = now() + $1::interval
FROM due
WHERE o.id = due.id
RETURNING o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue

-- name: claim overdue cancel requests
WITH due AS MATERIALIZED (
    SELECT o.id FROM orders AS o
    WHERE NOT EXISTS (SELECT FROM venue_gates AS g WHERE g.venue = $2 AND g.paused_until > now()) AND o.cancel_due_at < now() - $3::interval ORDER BY o.cancel_due_at LIMIT least($4::int, NULL) FOR UPDATE SKIP LOCKED
)
UPDATE orders AS o SET cancel_due_at = now() + $1::interval
FROM due
WHERE o.id = due.id
RETURNING o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue

-- name: load
SELECT o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue, coalesce(
    (SELECT max(x.cumulative_quantity) FROM executions AS x WHERE x.order_id = o.id), 0
) AS filled_up_to
FROM orders AS o
WHERE o.id = ANY($1::uuid[])

-- name: write
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
        $25::text::text[], $26::text::text[], $27::text::interval[], $28::text::interval[]
    ) AS w (
        id, read_version, version, phase, rank, filled_quantity, notional, cancel_asked, cancel_sent,
        cancel_refused, cancel_refused_at, status, updated_at, is_placing_over, is_cancel_open,
        is_open_at_venue, attempt, counts, may_have_been_sent, unclaimed, account_id, venue_order_id, ends,
        end_reasons, phase_reasons, error, next_in, cancel_in
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
        is_open_at_venue = w.is_open_at_venue,
        place_due_at = CASE
            WHEN w.is_placing_over THEN NULL
            WHEN w.next_in IS NOT NULL THEN now() + w.next_in
            ELSE o.place_due_at
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
    RETURNING o.id, o.attempts, o.last_attempt_at, o.place_due_at, o.lease_until, o.last_error
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
        received_at
    )
    SELECT c.account_id, (SELECT e.sequences FROM ends AS e)[c.account_number] - c.behind, c.order_id, c.version,
        c.kind, c.at, c.status, c.filled_quantity, c.notional, c.reason_source, c.reason_code, c.reason_message,
        c.venue_order_id, c.execution_id, c.execution_quantity, c.execution_price, c.executed_at, c.received_at
    FROM unnest(
        $45::text::int[], $46::text::int[], $47::text::uuid[], $48::text::int[], $49::text::text[],
        $50::text::timestamptz[], $51::text::text[], $52::text::numeric[], $53::text::numeric[],
        $54::text::text[], $55::text::uuid[], $56::text::numeric[], $57::text::numeric[],
        $58::text::timestamptz[], $59::text::timestamptz[], $60::text::text[], $61::text::text[],
        $62::text::text[], $63::text::text[]
    ) AS c (
        account_number, behind, order_id, version, kind, at, status, filled_quantity, notional, reason_source,
        execution_id, execution_quantity, execution_price, executed_at, received_at, account_id, reason_code,
        reason_message, venue_order_id
    )
    WHERE (SELECT v.holds FROM verdict AS v)
)
SELECT (SELECT v.holds FROM verdict AS v) AS holds, (SELECT p.holds FROM led AS p) AS is_led,
    (SELECT e.sequences FROM ends AS e) AS sequences,
    array_agg(u.id) AS ids, array_agg(u.attempts) AS attempts, array_agg(u.last_attempt_at) AS last_attempt_at,
    array_agg(u.place_due_at) AS place_due_at, array_agg(u.lease_until) AS lease_until,
    array_agg(u.last_error) AS last_error
FROM updated AS u

-- name: read open orders
SELECT o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, o.ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, o.end_reasons, o.phase_reasons, o.status, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempt, o.attempts, o.last_attempt_at, o.maybe_sent_at, o.lease_until, o.last_error, o.cancel_due_at, o.is_open_at_venue FROM orders AS o
WHERE o.is_open_at_venue AND (o.updated_at < now() - $1::interval OR o.updated_at > now())
ORDER BY o.updated_at, o.id
LIMIT $2::int

-- name: read what is due
SELECT now() - min(o.place_due_at) AS overdue FROM orders AS o WHERE o.place_due_at <= now()

-- name: read an order
SELECT o.id, o.account_id, o.client_order_id, o.isin, o.symbol, o.side, o.type, o.time_in_force, o.quantity, o.limit_price, o.phase, o.rank, o.venue_order_id, o.filled_quantity, o.notional, nullif(o.ends, '{}') AS ends, o.cancel_asked, o.cancel_sent, o.cancel_refused, o.cancel_refused_at, nullif(o.end_reasons, '{}') AS end_reasons, nullif(o.phase_reasons, '{}') AS phase_reasons, o.version, o.created_at, o.updated_at, o.place_due_at, o.attempts, o.last_attempt_at, o.lease_until, o.last_error, (SELECT max(greatest(g.paused_until, g.probe_at)) FROM venue_gates AS g WHERE greatest(g.paused_until, g.probe_at) > now()) AS held_until, (SELECT max(g.reason) FROM venue_gates AS g WHERE greatest(g.paused_until, g.probe_at) > now()) AS held_reason, (SELECT min(h.halted_at) FROM trading_halts AS h WHERE h.resumed_at IS NULL AND (h.account_id = '' OR h.account_id = o.account_id)) AS halted_at FROM orders AS o WHERE o.id = ANY($1::uuid[]) AND ($2::text IS NULL OR o.account_id = $2)
