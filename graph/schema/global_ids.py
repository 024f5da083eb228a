"""The ids of nodes: readable and prefixed, so that people recognize them in logs. A malformed one matches no node."""

import re
from uuid import UUID

import strawberry

from domain.model.accounts import is_account_id
from domain.model.values import is_isin

ORDER = "ord"
EXECUTION = "exe"
INSTRUMENT = "ins"
HALT = "hlt"
ACTION = "act"
ACCOUNT = "acc"

_UUID_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)


def kind_of(node_id: str) -> str:
    """Return the prefix of the id: one of the kinds above, or anything else for an id that is not ours."""
    return node_id.partition("_")[0]


def order_node_id(order_id: UUID) -> strawberry.ID:
    """For example ord_0199aa…"""
    return strawberry.ID(f"{ORDER}_{order_id.hex}")


def execution_node_id(execution_id: UUID) -> strawberry.ID:
    """For example exe_0199aa…"""
    return strawberry.ID(f"{EXECUTION}_{execution_id.hex}")


def instrument_node_id(isin: str) -> strawberry.ID:
    """For example ins_US0378331005."""
    return strawberry.ID(f"{INSTRUMENT}_{isin}")


def account_node_id(account_id: str) -> strawberry.ID:
    """For example acc_desk-7."""
    return strawberry.ID(f"{ACCOUNT}_{account_id}")


def halt_node_id(halt_id: UUID) -> strawberry.ID:
    """For example hlt_0199aa…"""
    return strawberry.ID(f"{HALT}_{halt_id.hex}")


def action_node_id(action_id: UUID) -> strawberry.ID:
    """For example act_0199aa…"""
    return strawberry.ID(f"{ACTION}_{action_id.hex}")


def read_action_id(node_id: str) -> UUID | None:
    """Return the action's id, or None when it is not the id of an operator's action."""
    return _read_uuid(node_id, kind=ACTION)


def read_halt_id(node_id: str) -> UUID | None:
    """Return the halt's id, or None when it is not the id of a halt."""
    return _read_uuid(node_id, kind=HALT)


def read_order_id(node_id: str) -> UUID | None:
    """Return the order's id, or None when it is not the id of an order."""
    return _read_uuid(node_id, kind=ORDER)


def read_execution_id(node_id: str) -> UUID | None:
    """Return the execution's id, or None when it is not the id of an execution."""
    return _read_uuid(node_id, kind=EXECUTION)


def read_isin_of(node_id: str) -> str | None:
    """Return the instrument's ISIN, or None when it is not the id of an instrument."""
    kind, _, isin = node_id.partition("_")
    return isin if kind == INSTRUMENT and is_isin(isin) else None


def read_account_id(node_id: str) -> str | None:
    """Return the account's id, or None when it is not the id of an account."""
    kind, _, account_id = node_id.partition("_")
    return account_id if kind == ACCOUNT and is_account_id(account_id) else None


def _read_uuid(node_id: str, *, kind: str) -> UUID | None:
    prefix, _, text = node_id.partition("_")
    return UUID(hex=text) if prefix == kind and _UUID_HEX.fullmatch(text) else None
