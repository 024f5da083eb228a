"""Values that the venue's documents do not name yet: they are counted and logged, and never an error."""

from collections.abc import Sequence

from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import UnknownValue


def count_unknown_values(telemetry: Telemetry, values: Sequence[UnknownValue]) -> None:
    """Count each value by its field, and log its text."""
    for field, value in values:
        telemetry.count(Metric.VENUE_VALUES_UNKNOWN, field=field)
        telemetry.warning("venue_value_unknown", field=field, value=value, next="taken as a value that changes nothing")
