"""Changes as columns of array literals, for `db.write_statement`, and their places in their accounts' sequences."""

from collections import Counter
from collections.abc import Sequence

from db.array_literals import moment_array, plain_array, text_array
from db.fact_json import restatement_as_json
from domain.model.changes import Change
from domain.model.frozen import frozen
from domain.model.order import Order
from domain.model.values import Reason, storable_reason


@frozen
class NumberedChanges:
    """Changes in their order, and each one's place among its account's changes of one write.

    `account_ids` are sorted, `counts` is the number of changes of each. For each change `account_numbers` counts its
    account from 1 in that order, and `behind` is how many of the account follow.
    """

    changes: Sequence[Change]
    account_ids: Sequence[str]
    counts: Sequence[int]
    account_numbers: Sequence[int]
    behind: Sequence[int]

    def sequences(self, ends: Sequence[int]) -> Sequence[int]:
        """Each one's place in its account's sequence, from the places of each account's last change."""
        return [ends[number - 1] - behind for number, behind in zip(self.account_numbers, self.behind, strict=True)]


def numbered(changes: Sequence[Change]) -> NumberedChanges:
    """Return the changes in their order, with their positions."""
    accounts = [change.order.account_id for change in changes]
    counts = Counter(accounts)
    account_ids = sorted(counts)
    numbers = {account_id: number for number, account_id in enumerate(account_ids, start=1)}
    left = dict(counts)
    behind = []
    for account_id in accounts:
        left[account_id] -= 1
        behind.append(left[account_id])
    return NumberedChanges(
        changes=changes,
        account_ids=account_ids,
        counts=[counts[account_id] for account_id in account_ids],
        account_numbers=[numbers[account_id] for account_id in accounts],
        behind=behind,
    )


def change_columns(numbered_changes: NumberedChanges) -> Sequence[str]:
    """Return the columns of changes, in the statement's order."""
    changes = numbered_changes.changes
    orders = [change.order for change in changes]
    facts = [order.whole for order in orders]
    reasons = [_stored_reason(order) for order in orders]
    executions = [change.execution for change in changes]
    trades = [execution and execution.trade for execution in executions]
    return (
        plain_array(numbered_changes.account_numbers),
        plain_array(numbered_changes.behind),
        plain_array([order.id.hex for order in orders]),
        plain_array([order.version for order in orders]),
        plain_array([change.kind for change in changes]),
        moment_array([order.updated_at for order in orders]),
        plain_array([order.status for order in orders]),
        plain_array([each.filled_quantity for each in facts]),
        plain_array([each.notional for each in facts]),
        plain_array([reason and reason.source for reason in reasons]),
        plain_array([execution and execution.id.hex for execution in executions]),
        plain_array([trade and trade.quantity for trade in trades]),
        plain_array([trade and trade.price for trade in trades]),
        moment_array([None if execution is None else execution.executed_at for execution in executions]),
        moment_array([None if execution is None else execution.received_at for execution in executions]),
        text_array([order.account_id for order in orders]),
        text_array([None if reason is None else reason.code for reason in reasons]),
        text_array([None if reason is None else reason.message for reason in reasons]),
        text_array([each.venue_order_id for each in facts]),
        text_array([restatement_as_json(each.restatement) for each in facts]),
    )


def _stored_reason(order: Order) -> Reason | None:
    reason = order.reason
    return reason and storable_reason(reason)
