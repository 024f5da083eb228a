"""The table of operators' requests to resolve orders. The API and the command line write them, workers apply them.

The function `append_resolution_action`, which completes one and appends it to the audit trail, is in migration 0009.
"""

from sqlalchemy import CheckConstraint, Column, Index, PrimaryKeyConstraint, Table, Text, UniqueConstraint, Uuid, text

from db.audit_tables import ACTOR_MAX_CHARACTERS
from db.columns import CODE_MAX_CHARACTERS, ID_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS, MOMENT, NAME, at_most, metadata

resolutions = Table(
    "resolutions",
    metadata,
    # The id of the action in the trail as well.
    Column("id", Uuid, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("subject", NAME, nullable=False),
    Column("client_request_id", NAME, nullable=False),
    Column("action", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("token_id", Text),
    Column("address", Text),
    Column("asked_at", MOMENT, nullable=False, server_default=text("now()")),
    # A worker is at it until then.
    Column("lease_until", MOMENT),
    Column("done_at", MOMENT),
    # Why it was not done: the field and a sentence.
    Column("refused_field", Text),
    Column("refusal", Text),
    # What the venue answered to a question.
    Column("answer", Text),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("order_id", "subject", "client_request_id"),
    at_most("subject", ACTOR_MAX_CHARACTERS),
    at_most("client_request_id", ID_MAX_CHARACTERS),
    at_most("action", CODE_MAX_CHARACTERS),
    at_most("actor", ACTOR_MAX_CHARACTERS),
    at_most("token_id", ACTOR_MAX_CHARACTERS),
    at_most("address", ACTOR_MAX_CHARACTERS),
    CheckConstraint(f"char_length(reason) <= {MESSAGE_MAX_CHARACTERS}", name="reason"),
    CheckConstraint("num_nulls(refused_field, refusal) IN (0, 2)", name="refusal"),
)
Index("resolutions_waiting", resolutions.c.asked_at, postgresql_where=resolutions.c.done_at.is_(None))
