"""The audit trail: operators' actions, in one chain of hashes, and seals of every account's changes.

Only new tables, so nothing is locked. Existing changes are sealed by the workers afterwards, from each account's first
one on.
"""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OPERATOR_ACTIONS = """
CREATE TABLE operator_actions (
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    token_id text,
    address text,
    action text NOT NULL,
    account_id text COLLATE "C",
    order_id uuid,
    reason text NOT NULL,
    before text,
    after text,
    hash text COLLATE "C" NOT NULL,
    CONSTRAINT operator_actions_pk PRIMARY KEY (sequence),
    CONSTRAINT operator_actions_id_key UNIQUE (id),
    CONSTRAINT operator_actions_actor_check CHECK (char_length(actor) BETWEEN 1 AND 512),
    CONSTRAINT operator_actions_token_id_check CHECK (char_length(token_id) BETWEEN 1 AND 512),
    CONSTRAINT operator_actions_address_check CHECK (char_length(address) BETWEEN 1 AND 512),
    CONSTRAINT operator_actions_action_check CHECK (char_length(action) BETWEEN 1 AND 128),
    CONSTRAINT operator_actions_account_id_check CHECK (char_length(account_id) BETWEEN 1 AND 128),
    CONSTRAINT operator_actions_reason_check CHECK (char_length(reason) <= 2000)
)
"""
INDEXES = (
    "CREATE INDEX operator_actions_account ON operator_actions (account_id, sequence) WHERE account_id IS NOT NULL",
    "CREATE INDEX operator_actions_order ON operator_actions (order_id, sequence) WHERE order_id IS NOT NULL",
)
ACTION_HEAD = """
CREATE TABLE operator_action_head (
    id smallint NOT NULL DEFAULT 1,
    sequence bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    CONSTRAINT operator_action_head_pk PRIMARY KEY (id),
    CONSTRAINT operator_action_head_id_check CHECK (id = 1)
)
"""
REFUSE_CHANGES = """
CREATE FUNCTION refuse_changes_of_operator_actions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'operator_actions is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
APPEND_ONLY = """
CREATE TRIGGER operator_actions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_actions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_changes_of_operator_actions()
"""
# The one writer of the trail. It runs as the owner of the tables, so that no role of a process needs a privilege for it
# except EXECUTE. The lock on the head is held until the commit of the action: so the chain has the order of commits.
# The head is the last lock of a statement (orders, accounts, the head), so none deadlock. Its hash is that of
# domain.model.audit_chain.action_hash: docs/audit.md has the canonical form.
APPEND = """
CREATE FUNCTION append_operator_action(
    new_id uuid, new_actor text, new_token_id text, new_address text, new_action text, new_account_id text,
    new_order_id uuid, new_reason text, new_before text, new_after text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
DECLARE
    head record;
    new_sequence bigint;
    new_at timestamptz;
    new_hash text;
BEGIN
    -- Actions of the command line are the operators' login's: they may read the head, the API may not.
    IF new_actor LIKE 'os:%' AND NOT has_table_privilege(session_user, '{schema}.operator_action_head', 'SELECT') THEN
        RAISE EXCEPTION 'this login does not act for users of the operating system'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO {schema}.operator_action_head AS h (id, sequence, hash)
    VALUES (1, 0, encode(sha256(convert_to('27:fillwire/operator-actions/1,', 'UTF8')), 'hex'))
    ON CONFLICT (id) DO NOTHING;
    SELECT h.sequence, h.hash INTO STRICT head FROM {schema}.operator_action_head AS h WHERE h.id = 1 FOR UPDATE;
    new_sequence := head.sequence + 1;
    new_at := clock_timestamp();
    SELECT encode(sha256(convert_to(string_agg(
        coalesce(octet_length(convert_to(f.field, 'UTF8')) || ':' || f.field || ',', '-'), '' ORDER BY f.place
    ), 'UTF8')), 'hex') INTO STRICT new_hash
    FROM unnest(ARRAY[
        'fillwire/operator-actions/1', head.hash, new_sequence::text, new_id::text,
        to_char(new_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), new_actor, new_token_id, new_address,
        new_action, new_account_id, new_order_id::text, new_reason, new_before, new_after
    ]) WITH ORDINALITY AS f (field, place);
    INSERT INTO {schema}.operator_actions (
        sequence, id, at, actor, token_id, address, action, account_id, order_id, reason, before, after, hash
    )
    VALUES (
        new_sequence, new_id, new_at, new_actor, new_token_id, new_address, new_action, new_account_id, new_order_id,
        new_reason, new_before, new_after, new_hash
    );
    UPDATE {schema}.operator_action_head AS h SET sequence = new_sequence, hash = new_hash WHERE h.id = 1;
    RETURN new_sequence;
END
$$
"""
# Only the owner may append until a role is granted it: see docs/audit.md.
NOT_FOR_EVERYBODY = """
REVOKE EXECUTE ON FUNCTION append_operator_action(uuid, text, text, text, text, text, uuid, text, text, text)
FROM PUBLIC
"""
SEALED_ACCOUNTS = """
CREATE TABLE sealed_accounts (
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT sealed_accounts_pk PRIMARY KEY (account_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)
"""
ACCOUNT_SEALS = """
CREATE TABLE account_seals (
    account_id text COLLATE "C" NOT NULL,
    up_to_sequence bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT account_seals_pk PRIMARY KEY (account_id, up_to_sequence)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05)
"""
SEAL_LEASE = """
CREATE TABLE seal_lease (
    id smallint NOT NULL DEFAULT 1,
    holder uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    CONSTRAINT seal_lease_pk PRIMARY KEY (id),
    CONSTRAINT seal_lease_id_check CHECK (id = 1)
)
"""


def upgrade() -> None:
    """Create the tables of the trail, and the only function that appends to it."""
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for statement in (
        OPERATOR_ACTIONS,
        *INDEXES,
        ACTION_HEAD,
        REFUSE_CHANGES,
        APPEND_ONLY,
        APPEND.replace("{schema}", str(schema)),
        NOT_FOR_EVERYBODY,
        SEALED_ACCOUNTS,
        ACCOUNT_SEALS,
        SEAL_LEASE,
    ):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Revert to 0005: the audit trail is lost."""
    op.execute("DROP FUNCTION append_operator_action")
    for table in ("operator_actions", "operator_action_head", "account_seals", "sealed_accounts", "seal_lease"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_changes_of_operator_actions")
