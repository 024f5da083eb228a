"""Tables of revoked tokens. Processes of the version before do not read them: they accept revoked tokens."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE token_revocations (
        account_id text COLLATE "C" NOT NULL,
        token_id text COLLATE "C" NOT NULL,
        issued_before timestamptz,
        revoked_at timestamptz NOT NULL,
        revoked_by text NOT NULL,
        reason text NOT NULL,
        expires_at timestamptz NOT NULL,
        position bigint NOT NULL,
        CONSTRAINT token_revocations_pk PRIMARY KEY (account_id, token_id),
        CONSTRAINT token_revocations_position_key UNIQUE (position),
        CONSTRAINT token_revocations_account_id_check CHECK (char_length(account_id) <= 128),
        CONSTRAINT token_revocations_token_id_check CHECK (char_length(token_id) <= 256),
        CONSTRAINT token_revocations_subject_check CHECK ((account_id = '') <> (token_id = '')),
        CONSTRAINT token_revocations_issued_before_check CHECK ((issued_before IS NULL) = (account_id = '')),
        CONSTRAINT token_revocations_revoked_by_check CHECK (char_length(revoked_by) BETWEEN 1 AND 128),
        CONSTRAINT token_revocations_reason_check CHECK (char_length(reason) BETWEEN 1 AND 2000)
    )
    """,
    "CREATE INDEX token_revocations_expires_at ON token_revocations (expires_at)",
    """
    CREATE TABLE token_revocation_head (
        id smallint NOT NULL DEFAULT 1,
        position bigint NOT NULL,
        CONSTRAINT token_revocation_head_pk PRIMARY KEY (id),
        CONSTRAINT token_revocation_head_id_check CHECK (id = 1)
    )
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop them: what was revoked is valid again."""
    op.execute("DROP TABLE token_revocation_head")
    op.execute("DROP TABLE token_revocations")
