"""How a value is declared of which accepting or recording makes some for every order or execution.

A frozen dataclass sets each of its fields through `object.__setattr__`: making one costs three to four times as much
as making a plain one, which was a sixth of all that recording an execution costs. So these are frozen where the code
is written, by the type checker, and plain while it runs. See docs/decisions/0015.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """A dataclass with slots and keywords only whose fields nobody may set: mypy refuses it."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
