"""The records of which an export of the audit trail consists, one JSON object each (docs/audit.md).

Of every chain `start`, `head`, then its `action`, or its `seal` and `change` records in the order of their sequence,
and `end`.
"""

from collections.abc import Mapping
from datetime import datetime

from domain.model.audit_chain import ACTION_FIELDS, ChainHead, ChangeRecord, action_texts, change_texts
from domain.model.operator_actions import OperatorAction, moment_text

Record = Mapping[str, object]
Chain = str | None
"""An account's id, or None for the chain of the operators' actions."""


def start_record(chain: Chain, head: ChainHead) -> Record:
    """Return the record that opens a chain: the link after which the following records begin."""
    return {"type": "start", "account": chain, "sequence": head.sequence, "hash": head.hash}


def head_record(chain: Chain, head: ChainHead) -> Record:
    """Return the record of a chain's head, to be stored on another machine."""
    return {"type": "head", "account": chain, "sequence": head.sequence, "hash": head.hash}


def seal_record(chain: Chain, head: ChainHead, sealed_at: datetime) -> Record:
    """Return the record of a seal."""
    sealed = {"sequence": head.sequence, "hash": head.hash, "sealed_at": moment_text(sealed_at)}
    return {"type": "seal", "account": chain, **sealed}


def change_record(change: ChangeRecord) -> Record:
    """Return the record of a change: the texts of its canonical form."""
    return {"type": "change", **dict(zip(ChangeRecord._fields, change_texts(change), strict=False))}


def action_record(action: OperatorAction) -> Record:
    """Return the record of an action: the texts of its canonical form, and its stored hash."""
    return {"type": "action", **dict(zip(ACTION_FIELDS, action_texts(action), strict=True)), "hash": action.hash}


def end_record(chain: Chain, *, position: int, unexpected: int | None) -> Record:
    """Return the record that closes a chain: the sequence at which it must end, and a row beyond it."""
    return {"type": "end", "account": chain, "position": position, "unexpected": unexpected}


def unreadable_record(chain: Chain) -> Record:
    """Return the record that ends a chain early: what follows there cannot be read."""
    return {"type": "unreadable", "account": chain}
