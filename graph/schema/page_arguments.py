"""From `first`, `after`, `last`, `before` to one bounded page, according to Relay's specification.

Without `first` and `last` the default size counts from the start. With both, `last` selects the end of the rows of
`first`; but with `last` a `first` that is only the schema's default is ignored.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import strawberry

from domain.model.order_query import Page, PageRequest
from graph.errors import ClientError, bad_input
from graph.settings import GraphSettings

DEFAULT_FIRST = 50
"""The default of `first` in the schema, where it has one."""

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageArguments(Generic[Key]):
    """The client's arguments, with parsed cursors. `default_first` is the schema's default of `first`."""

    first: int | None
    default_first: int | None
    after: Key | None
    last: int | None
    before: Key | None


def page_arguments(
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    read_cursor: Callable[[str], Key],
    default_first: int | None = DEFAULT_FIRST,
) -> PageArguments[Key]:
    """Read the arguments of a connection, of which each may be UNSET. Raises what `read_cursor` does: BAD_CURSOR."""
    return PageArguments(
        first=None if first is strawberry.UNSET else first,
        default_first=default_first,
        after=read_cursor(after) if after else None,
        last=None if last is strawberry.UNSET else last,
        before=read_cursor(before) if before else None,
    )


async def read_page(
    arguments: PageArguments[Key], read: Callable[[PageRequest[Key]], Awaitable[Page[Row]]], *, settings: GraphSettings
) -> Page[Row]:
    """Read the page; raises BAD_USER_INPUT for a negative size and PAGE_TOO_LARGE for one beyond the limit."""
    first, last = arguments.first, arguments.last
    if last is not None and first == arguments.default_first:
        first = None
    if first is None and last is None:
        first = settings.page_default_rows
    _check_size("first", first, settings.page_max_rows)
    _check_size("last", last, settings.page_max_rows)

    size = last if first is None else first
    request = PageRequest(
        # An empty page still has to show whether there are any rows.
        limit=max(size or 0, 1),
        after=arguments.after,
        before=arguments.before,
        backwards=first is None,
    )
    page = await read(request)
    if first is not None:
        page = _first_of(page, first)
    if last is not None:
        page = _last_of(page, last)
    return page


def _first_of(page: Page[Row], count: int) -> Page[Row]:
    if len(page.rows) <= count:
        return page
    return replace(page, rows=page.rows[:count], has_next=True)


def _last_of(page: Page[Row], count: int) -> Page[Row]:
    if len(page.rows) <= count:
        return page
    return replace(page, rows=page.rows[len(page.rows) - count :], has_previous=True)


def _check_size(name: str, size: int | None, limit: int) -> None:
    if size is None:
        return
    if size < 0:
        raise bad_input(f"{name} must not be negative.")
    if size > limit:
        raise ClientError(code="PAGE_TOO_LARGE", message=f"{name} must be at most {limit}.")
