"""The statements that insert orders: two for accounts without halts and limits, and one that checks both.

Each inserts, counts and numbers in one step. The first two, for a batch and for a single order, check that trading is
not halted and no limits are set for any of the accounts; else they insert nothing and return `is_free` false, and the
third is used. They exist because the checks take a sixth of the time and usually do not apply, and because a single
order needs no numbering, which takes PostgreSQL a quarter of its time.
"""

# Reasons:
# - A halt is read from its table, never from a cache. A halt waits for the statements that began before it (see
#   `db.trading_halts`), so nothing is stored once a halt was answered.
# - Orders, then accounts, each by id: all statements lock in that order, so none deadlock. Where open orders or orders
#   per second are limited, the accounts are locked first instead ($17): an account's load can be read only under its
#   lock. Such accounts are in separate batches. For a new order's key only statements with the same key, of the same
#   account, wait, and all of them lock in the same order: different limits store nothing. (Except for the same key at
#   two processes while the limits are being set.)
# - FOR UPDATE returns the newest row, not that of the snapshot. A missing row cannot be locked: then nothing is stored
#   (`are_missing`), and the caller creates the rows and retries. That happens once for an account.
# - The halts are read FOR KEY SHARE: a halt waits for its table lock, and does not wait for plain reads, which have
#   none. Only rows of open halts are locked, and resuming does not change their key.
# - Accounts and stored orders are looked up key by key (a locking sub-select and OFFSET 0 prevent anything else): with
#   outdated statistics of a new table the planner would read all of it, for every batch.
# - An order that two processes store at the same time conflicts on its venue client order id as well. ON CONFLICT names
#   one index, so that other statements need no look-up, and the statement of one of the two fails: the caller repeats
#   it.
# - An order that is stored already is not counted, and the caller finds it again.
# - Limits that were changed since the terms were checked (`set_at` differs) store nothing: the caller checks again.
# - An account's load is at least zero: old processes that do not count, and a clock that was set back, leave numbers
#   below zero and times in the future.
# - The orders' columns are the text of an array each: see `db.array_literals`.
# - An account's number reaches its orders and changes through arrays, not through joins: the planner has no statistics
#   of a CTE, and a join of two of them compares every row with every row.

_STORE = """inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, submit_due_at, venue_client_order_id
    )
    SELECT n.id, n.account_id, n.client_order_id, n.isin, n.symbol, n.side, n.type, n.time_in_force, n.quantity,
        n.limit_price, 'PENDING', n.created_at, n.created_at, now(), n.venue_client_order_id
    {passing}
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
    SELECT n.account_id, n.count, n.count, {accepted_at}
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
)"""
_ORDER_ARRAYS = (
    "$1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], "
    "$7::text::text[], $8::text::text[], $9::text::numeric[], $10::text::numeric[], $11::text::timestamptz[], "
    "$12::text::text[]"
)
_ORDER_COLUMNS = (
    "id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price, created_at, "
    "venue_client_order_id"
)

_NEW_ORDERS = f"unnest({_ORDER_ARRAYS}) AS n ({_ORDER_COLUMNS})"
_NUMBERED_ORDERS = f"unnest({_ORDER_ARRAYS}, $16::int[]) WITH ORDINALITY AS n ({_ORDER_COLUMNS}, account_number, place)"

_IF_FREE = _STORE.format(
    passing=f"FROM {_NEW_ORDERS} WHERE (SELECT f.is_free FROM free AS f)",  # noqa: S608 - the names of our own columns
    accepted_at="'{}'",
)
INSERT_IF_UNRESTRICTED = f"""
WITH free AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM trading_halts AS h WHERE h.resumed_at IS NULL AND h.account_id = ANY($13::text[] || ''::text)
        FOR KEY SHARE
    ) AND NOT EXISTS (
        SELECT FROM account_limits AS l WHERE l.account_id = ANY($13::text[] || ''::text)
    ) AS is_free
), {_IF_FREE}
SELECT now() AS submit_due_at, (SELECT f.is_free FROM free AS f) AS is_free,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences, '{{}}'::int[] AS loads
FROM recorded AS r
"""  # noqa: S608 - the names of our own columns

INSERT_ONE_IF_UNRESTRICTED = """
WITH free AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM trading_halts AS h WHERE h.resumed_at IS NULL AND h.account_id IN ($2, '') FOR KEY SHARE
    ) AND NOT EXISTS (
        SELECT FROM account_limits AS l WHERE l.account_id IN ($2, '')
    ) AS is_free
), inserted AS (
    INSERT INTO orders AS o (
        id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
        status, created_at, updated_at, submit_due_at, venue_client_order_id
    )
    SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::numeric, $10::numeric,
        'PENDING', $11::timestamptz, $11, now(), $12::text
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
SELECT now() AS submit_due_at, (SELECT f.is_free FROM free AS f) AS is_free,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences, '{}'::int[] AS loads
FROM recorded AS r
"""

_ACCEPTED_AT = """coalesce(
        CASE WHEN (SELECT bool_or(r.max_orders_per_second IS NOT NULL) FROM rooms AS r) THEN (
            SELECT r.accepted_at || array_fill(clock_timestamp(), ARRAY[n.count::int])
            FROM rooms AS r WHERE r.id = n.account_id
        ) END,
        '{}'
    )"""

_IF_FITTING = _STORE.format(
    passing="FROM asked AS n WHERE n.room IS NULL OR n.place IN (SELECT f.place FROM fitting AS f)",
    accepted_at=_ACCEPTED_AT,
)
INSERT_WITHIN_LIMITS = f"""
WITH halted AS MATERIALIZED (
    SELECT h.account_id FROM trading_halts AS h
    WHERE h.resumed_at IS NULL AND (h.account_id = '' OR h.account_id = ANY($13::text[]))
    FOR KEY SHARE
), locked AS MATERIALIZED (
    SELECT a.account
    FROM (SELECT u.id FROM unnest($13::text[]) AS u (id) ORDER BY u.id COLLATE "C") AS k
    CROSS JOIN LATERAL (SELECT b AS account FROM accounts AS b WHERE b.id = k.id FOR UPDATE) AS a
    WHERE $17::bool
), locks AS MATERIALIZED (
    SELECT array_agg(l.account ORDER BY (l.account).id) AS accounts,
        count(*) < cardinality($13::text[]) AND $17::bool AS are_missing
    FROM locked AS l
), loads AS MATERIALIZED (
    SELECT k.id, k.number, l.max_open_orders, coalesce(l.max_orders_per_second, $15::int) AS max_orders_per_second,
        l.set_at IS DISTINCT FROM ($14::timestamptz[])[k.number] AS is_stale,
        CASE
            WHEN EXISTS (SELECT FROM halted AS h WHERE h.account_id = '') THEN 'ALL'
            WHEN k.id IN (SELECT h.account_id FROM halted AS h) THEN 'ACCOUNT'
        END AS halt,
        CASE
            WHEN ((SELECT s.accounts FROM locks AS s)[k.number]).open_orders < 0 THEN 0
            ELSE ((SELECT s.accounts FROM locks AS s)[k.number]).open_orders
        END AS open_orders,
        CASE WHEN coalesce(l.max_orders_per_second, $15::int) IS NOT NULL THEN ARRAY(
            SELECT m FROM unnest(((SELECT s.accounts FROM locks AS s)[k.number]).accepted_at) AS m
            WHERE m > clock_timestamp() - interval '1 second' AND m <= clock_timestamp() ORDER BY m
        ) END AS accepted_at
    FROM unnest($13::text[]) WITH ORDINALITY AS k (id, number)
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
    FROM {_NUMBERED_ORDERS}
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
), {_IF_FITTING}
SELECT now() AS submit_due_at, (SELECT s.are_missing FROM locks AS s) AS are_missing,
    array_agg(r.order_id) AS order_ids, array_agg(r.sequence) AS sequences,
    ARRAY(
        SELECT ROW(
            l.id, l.halt, l.is_stale, l.max_open_orders, l.max_orders_per_second, l.open_orders,
            cardinality(l.accepted_at), l.accepted_at[1] + interval '1 second' - clock_timestamp()
        )
        FROM rooms AS l WHERE l.room IS NOT NULL
    ) AS loads
FROM recorded AS r
"""  # noqa: S608 - the names of our own columns
