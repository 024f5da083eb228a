"""Metrics and log events of committed changes and of anomalies."""

from collections.abc import Sequence
from uuid import UUID

from domain.model.changes import Anomaly, ChangeKind, RecordedChange
from domain.ports.telemetry import Metric, Telemetry

_REPAIRED = frozenset({Anomaly.MISSED_FILL, Anomaly.MISSED_AMENDMENT})


def log_change(telemetry: Telemetry, change: RecordedChange) -> None:
    """Count and log a committed change for operators."""
    if change.kind is ChangeKind.FILL:  # The most frequent one, without information for an operator.
        return
    order = change.order
    reason = order.reason.message if order.reason else None
    match change.kind:
        case ChangeKind.PLACED:
            telemetry.count(Metric.ORDERS_PLACED)
            telemetry.observe(Metric.STORED_TO_PLACED_SECONDS, (change.at - order.created_at).total_seconds())
        case ChangeKind.PLACEMENT_IN_DOUBT:
            telemetry.count(Metric.ORDERS_IN_DOUBT)
            telemetry.warning("order_in_doubt", order_id=str(order.id), reason=reason, next="looked up at the venue")
        case ChangeKind.REJECTED:
            telemetry.count(Metric.ORDERS_REJECTED)
            telemetry.info("order_rejected", order_id=str(order.id), reason=reason)
        case ChangeKind.REVIVED:
            telemetry.count(Metric.ORDERS_REVIVED)
            telemetry.error(
                "order_revived",
                order_id=str(order.id),
                status=order.status,
                next="it is followed again and can be canceled; notify the account, for which it had ended",
            )
        case ChangeKind.RESTATED:
            terms = order.current_terms
            telemetry.info(
                "order_restated",
                order_id=str(order.id),
                venue_order_id=order.venue_order_id,
                quantity=str(terms.quantity),
                symbol=terms.symbol,
                limit_price=None if terms.limit_price is None else str(terms.limit_price),
            )
        case ChangeKind.FAILED:
            telemetry.count(Metric.ORDERS_FAILED)
            telemetry.error(
                "order_failed",
                order_id=str(order.id),
                attempts=order.placement.attempts,
                reason=reason,
                next="nothing more is sent; fix the connection to the venue, then place a new order",
            )
        case _:
            pass


def log_anomalies(telemetry: Telemetry, order_id: UUID, anomalies: Sequence[Anomaly]) -> None:
    """Count and log anomalies of an order. A missed fill or amendment is only counted: the order is repaired, which
    reports a failure.
    """
    for anomaly in anomalies:
        telemetry.count(Metric.ANOMALIES, kind=anomaly)
        if anomaly not in _REPAIRED:
            telemetry.error("order_anomaly", order_id=str(order_id), kind=anomaly)
