"""How far subscribers are behind: a change's delay starts when the database has it."""

from tools.chaos.evidence import Following, Message, Session
from tools.chaos.lag import Lag


def _following(place: int | None, *, order_id: str | None = None, completed: bool = False) -> Following:
    messages = [] if place is None else [Message(kind="CHANGE", place=place)]
    session = Session(after=None, messages=messages, completed=completed)
    return Following(subscriber=0, account_id="account-1", order_id=order_id, sessions=[session])


def test_a_subscriber_with_everything_is_not_behind() -> None:
    lag = Lag(followings=[_following(7), _following(3, order_id="order-a")])

    lag.note({"account-1": 7, "order-a": 3}, now=100.0)

    assert lag.behind_seconds(now=105.0) == 0
    assert lag.worst_seconds == 0


def test_a_missing_change_counts_from_the_first_comparison_that_showed_it() -> None:
    lag = Lag(followings=[_following(7)])

    lag.note({"account-1": 7}, now=100.0)
    lag.note({"account-1": 8}, now=104.0)
    lag.note({"account-1": 9}, now=109.0)

    assert lag.behind_seconds(now=110.0) == 6
    lag.followings[0].sessions[-1].messages.append(Message(kind="CHANGE", place=8))
    assert lag.behind_seconds(now=110.0) == 1
    assert lag.worst_seconds == 6


def test_a_subscriber_without_changes_is_behind_and_a_completed_stream_is_not() -> None:
    lag = Lag(followings=[_following(None)])
    over = Lag(followings=[_following(2, order_id="order-a", completed=True)])

    lag.note({"account-1": 1}, now=100.0)
    over.note({"order-a": 3}, now=100.0)

    assert lag.behind_seconds(now=103.0) == 3
    assert over.behind_seconds(now=103.0) == 0
