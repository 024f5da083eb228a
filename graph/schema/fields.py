"""Fields with a description, typed: Strawberry's own decorators lose the resolver's type as soon as one is given."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

Resolver = TypeVar("Resolver", bound=Callable[..., object])


def described(description: str, *, kind: Callable[..., Any] = strawberry.field) -> Callable[[Resolver], Resolver]:
    """Make the function a field (or, by `kind`, a mutation or subscription) with that description."""

    def decorate(resolver: Resolver) -> Resolver:
        return cast("Resolver", kind(description=description)(resolver))

    return decorate
