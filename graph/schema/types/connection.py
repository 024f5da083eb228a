"""Relay's connection, once for every list: edges with cursors, the nodes without them, and the position of the page."""

from collections.abc import Callable
from typing import Generic, TypeVar

import strawberry

from domain.model.order_query import Page

NodeType = TypeVar("NodeType")
Row = TypeVar("Row")


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[NodeType]):
    cursor: str
    node: NodeType


def _edges(self: "Connection[NodeType]") -> list[Edge[NodeType]]:
    return [Edge(cursor=cursor, node=node) for cursor, node in zip(self.cursors(), self.nodes, strict=True)]


@strawberry.type
class Connection(Generic[NodeType]):
    # Most clients select only the nodes, and the cursors of a page cost a tenth of it.
    edges: list[Edge[NodeType]] = strawberry.field(resolver=_edges)
    nodes: list[NodeType]
    page_info: PageInfo
    cursors: strawberry.Private[Callable[[], list[str]]]


def connect(page: Page[Row], *, node: Callable[[Row], NodeType], cursor: Callable[[Row], str]) -> Connection[NodeType]:
    """Return the connection of a page."""
    rows = page.rows
    return Connection(
        nodes=[node(row) for row in rows],
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursor(rows[0]) if rows else None,
            end_cursor=cursor(rows[-1]) if rows else None,
        ),
        cursors=lambda: [cursor(row) for row in rows],
    )
