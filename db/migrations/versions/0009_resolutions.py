"""Operators' requests to resolve orders, and the executions that they book.

The new columns have defaults, so no table is rewritten. Processes of the version before do not know an operator's end
of an order, and cannot read an order that has one: upgrade every process before the first `fillwire orders end`.
"""

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BOOKINGS = """
ALTER TABLE executions
    ADD COLUMN is_booked boolean NOT NULL DEFAULT false,
    ADD COLUMN booked_as text COLLATE "C",
    ADD CONSTRAINT executions_booked_as_check
        CHECK (booked_as IS NULL OR (is_booked AND char_length(booked_as) BETWEEN 1 AND 128)) NOT VALID
"""
# It is true for every existing row: no execution is booked yet. This reads the table without blocking.
VALIDATE = "ALTER TABLE executions VALIDATE CONSTRAINT executions_booked_as_check"
BOOKED = "CREATE INDEX executions_booked ON executions (order_id) WHERE is_booked AND NOT is_busted"
RESOLUTIONS = """
CREATE TABLE resolutions (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    client_request_id text COLLATE "C" NOT NULL,
    action text NOT NULL,
    arguments text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    token_id text,
    address text,
    asked_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    done_at timestamptz,
    refused_field text,
    refusal text,
    answer text,
    CONSTRAINT resolutions_pk PRIMARY KEY (id),
    CONSTRAINT resolutions_order_id_subject_client_request_id_key UNIQUE (order_id, subject, client_request_id),
    CONSTRAINT resolutions_subject_check CHECK (char_length(subject) BETWEEN 1 AND 512),
    CONSTRAINT resolutions_client_request_id_check CHECK (char_length(client_request_id) BETWEEN 1 AND 128),
    CONSTRAINT resolutions_action_check CHECK (char_length(action) BETWEEN 1 AND 128),
    CONSTRAINT resolutions_actor_check CHECK (char_length(actor) BETWEEN 1 AND 512),
    CONSTRAINT resolutions_token_id_check CHECK (char_length(token_id) BETWEEN 1 AND 512),
    CONSTRAINT resolutions_address_check CHECK (char_length(address) BETWEEN 1 AND 512),
    CONSTRAINT resolutions_reason_check CHECK (char_length(reason) <= 2000),
    CONSTRAINT resolutions_refusal_check CHECK (num_nulls(refused_field, refusal) IN (0, 2))
)
"""
WAITING = "CREATE INDEX resolutions_waiting ON resolutions (asked_at) WHERE done_at IS NULL"
# A worker completes requests by this, and so appends to the audit trail only stored requests: actor, action and reason
# are read from the request, which a worker cannot write. A question changes nothing and is not in the trail.
APPEND = """
CREATE FUNCTION append_resolution_action(resolution uuid, new_before text, new_after text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
DECLARE
    asked record;
    new_account_id text;
BEGIN
    UPDATE {schema}.resolutions AS r SET done_at = clock_timestamp(), lease_until = NULL
    WHERE r.id = resolution AND r.done_at IS NULL AND r.action <> 'VENUE_ASKED'
    RETURNING r.* INTO asked;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT o.account_id INTO STRICT new_account_id FROM {schema}.orders AS o WHERE o.id = asked.order_id;
    RETURN {schema}.append_operator_action(
        asked.id, asked.actor, asked.token_id, asked.address, asked.action, new_account_id, asked.order_id,
        asked.reason, new_before, new_after
    );
END
$$
"""
# Like `append_operator_action`: requests at the command line are made by the operators' login, which may read the head
# of the trail. The API may not, so it cannot make a request in such a person's name.
OWN_ACTORS = """
CREATE FUNCTION refuse_resolutions_for_others() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    IF NEW.actor LIKE 'os:%' AND NOT has_table_privilege(session_user, '{schema}.operator_action_head', 'SELECT') THEN
        RAISE EXCEPTION 'this login does not act for users of the operating system'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$
"""
OWN_ACTORS_TRIGGER = """
CREATE TRIGGER resolutions_own_actors BEFORE INSERT ON resolutions
FOR EACH ROW EXECUTE FUNCTION refuse_resolutions_for_others()
"""
NOT_FOR_EVERYBODY = "REVOKE EXECUTE ON FUNCTION append_resolution_action(uuid, text, text) FROM PUBLIC"


def upgrade() -> None:
    """Add the columns, the table, and the only function that completes a request with a change."""
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for statement in (
        *(BOOKINGS, VALIDATE, BOOKED, RESOLUTIONS, WAITING),
        APPEND.replace("{schema}", str(schema)),
        OWN_ACTORS.replace("{schema}", str(schema)),
        OWN_ACTORS_TRIGGER,
        NOT_FOR_EVERYBODY,
    ):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Revert to 0008: requests are lost, and booked executions stay as if the venue had reported them."""
    op.execute("DROP FUNCTION append_resolution_action")
    op.execute("DROP TABLE resolutions")
    op.execute("DROP FUNCTION refuse_resolutions_for_others")
    op.execute("DROP INDEX executions_booked")
    op.execute("ALTER TABLE executions DROP COLUMN booked_as, DROP COLUMN is_booked")
