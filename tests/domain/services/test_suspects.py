"""How many suspects are remembered, and which."""

from decimal import Decimal

from domain.services.suspects import Suspects


def test_beyond_the_bound_the_oldest_suspect_makes_room_for_a_new_one() -> None:
    suspects = Suspects(orders_max=2)

    suspects.add_counted({"a": Decimal(1), "b": Decimal(2)})
    suspects.add(["c"])

    assert suspects.names() == ["b", "c"]


def test_a_suspect_that_is_added_again_removes_no_other() -> None:
    suspects = Suspects(orders_max=2)

    suspects.add_counted({"a": Decimal(1), "b": Decimal(2)})
    suspects.add_counted({"a": Decimal(3)})

    assert suspects.names() == ["a", "b"]
    assert suspects.count("a") == 3
