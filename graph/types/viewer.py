"""The bearer of the token, as the bearer sees it."""

from datetime import datetime

import strawberry

from graph import viewer


@strawberry.type
class Viewer:
    account_id: strawberry.ID
    scopes: list[str]
    token_expires_at: datetime | None


def viewer_from(bearer: viewer.Viewer) -> Viewer:
    """The viewer as clients see it."""
    return Viewer(
        account_id=strawberry.ID(bearer.account_id),
        scopes=sorted(bearer.scopes),
        token_expires_at=bearer.token_expires_at,
    )
