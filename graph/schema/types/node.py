"""The interface of everything that has an id."""

import strawberry


@strawberry.interface
class Node:
    """What can be found again by `node(id:)`."""

    id: strawberry.ID
