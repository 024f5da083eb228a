"""The order store as the tests of the database make it."""

from db.database import Database
from db.order_store import PostgresOrderStore
from tests.support.fakes.telemetry import RecordingTelemetry

VENUE = "SIM"


def make_store(database: Database) -> PostgresOrderStore:
    """Return a store as a process creates it."""
    return PostgresOrderStore(database, venue=VENUE, telemetry=RecordingTelemetry())
