"""Pages by the key of a row, never by an offset: rows added meanwhile neither repeat nor hide others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Select, func, literal, select, true, tuple_

from db.columns import NAME
from db.database import Database, Row
from domain.model.order_query import PAGE_MAX_ROWS, Page, PageRequest

Key = TypeVar("Key")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset(Generic[Key]):
    """The columns by which rows are sorted, all in one direction, and their values in a key.

    Together the columns are unique, and they are in the selected rows. `within` is for an index that has the sort's
    order only within each value of a column: it names the column and the values. Then only rows with these values are
    read, the first ones of each, and merged.
    """

    columns: Sequence[ColumnElement[Any]]
    values: Callable[[Key], Sequence[ColumnElement[Any]]]
    descending: bool = False
    within: tuple[ColumnElement[Any], Sequence[str]] | None = None

    def behind(self, key: Key) -> ColumnElement[bool]:
        """Return the rows after the key's."""
        return self._position < self._at(key) if self.descending else self._position > self._at(key)

    def in_front_of(self, key: Key) -> ColumnElement[bool]:
        """Return the rows before the key's."""
        return self._position > self._at(key) if self.descending else self._position < self._at(key)

    def among(self, rows: Select[Any]) -> Select[Any]:
        """Return the rows with one of the values of `within`; all of them without it."""
        if self.within is None:
            return rows
        column, values = self.within
        return rows.where(column.in_(values))

    def first(self, rows: Select[Any], limit: int, *, backwards: bool) -> Select[Any]:
        """Return the first of those rows from one end, at most that number."""
        order = self._order(self.columns, backwards=backwards)
        if self.within is None:
            return rows.order_by(*order).limit(limit)
        column, values = self.within
        each = func.unnest(literal(list(values), ARRAY(NAME))).table_valued("value").render_derived(name="each")
        # Each value separately, and only the keys: a condition on all values together would lose the index's order, and
        # the other columns are needed only for the page.
        of_one = rows.with_only_columns(*self.columns).where(column == each.c.value).order_by(*order).limit(limit)
        heads = of_one.correlate(each).lateral("head")
        keys = [heads.c[one.name] for one in self.columns]
        merged = select(*keys).select_from(each.join(heads, true()))
        page = merged.order_by(*self._order(keys, backwards=backwards)).limit(limit)
        return self.among(rows).where(self._position.in_(page)).order_by(*order)

    def _order(self, columns: Sequence[ColumnElement[Any]], *, backwards: bool) -> Sequence[ColumnElement[Any]]:
        descending = self.descending != backwards
        return [column.desc() if descending else column.asc() for column in columns]

    @property
    def _position(self) -> ColumnElement[Any]:
        return _together(self.columns)

    def _at(self, key: Key) -> ColumnElement[Any]:
        return _together(self.values(key))


def _together(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return columns[0] if len(columns) == 1 else tuple_(*columns)


async def read_page(
    database: Database,
    rows: Select[Any],
    request: PageRequest[Key],
    *,
    keyset: Keyset[Key],
    item_of: Callable[[Row], Item],
) -> Page[Item]:
    """Return the requested page of the selected rows. Raises ValueError for a limit out of range, and Unavailable."""
    check_limit(request.limit)
    within = rows
    if request.after is not None:
        within = within.where(keyset.behind(request.after))
    if request.before is not None:
        within = within.where(keyset.in_front_of(request.before))
    # One row more than requested shows whether there are more.
    found = await database.select(keyset.first(within, request.limit + 1, backwards=request.backwards))
    items = [item_of(row) for row in found[: request.limit]]
    more = len(found) > request.limit
    all_rows = keyset.among(rows)
    outside_front = await _outside(database, all_rows, None if request.after is None else ~keyset.behind(request.after))
    outside_back = await _outside(
        database, all_rows, None if request.before is None else ~keyset.in_front_of(request.before)
    )
    if request.backwards:
        return Page(rows=items[::-1], has_next=outside_back, has_previous=more or outside_front)
    return Page(rows=items, has_next=more or outside_back, has_previous=outside_front)


def check_limit(limit: int) -> None:
    """Raise ValueError for a number of rows that no page may have."""
    if not 1 <= limit <= PAGE_MAX_ROWS:
        raise ValueError(f"a page has 1 to {PAGE_MAX_ROWS} rows")


async def _outside(database: Database, rows: Select[Any], beyond: ColumnElement[bool] | None) -> bool:
    """Whether there is any row on the other side of one of the page's two keys."""
    if beyond is None:
        return False
    return bool(await database.select(rows.where(beyond).with_only_columns(literal(1).label("one")).limit(1)))
