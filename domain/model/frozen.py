"""Declaration of values of which storing or recording creates some for every order or execution.

A frozen dataclass sets each of its fields through `object.__setattr__`: creating one costs three to four times as much
as a plain one, which was a sixth of the cost of recording an execution. So these are frozen for the type checker, and
plain at run time. See docs/decisions/0015.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Declare a dataclass with slots and keyword-only fields that are never assigned: mypy enforces it."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
