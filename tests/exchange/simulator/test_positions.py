"""A position's quantity and cost after its executions."""

from decimal import Decimal

from exchange.simulator.positions import AccountHolding


def _position(*trades: tuple[int, str]) -> AccountHolding:
    position = AccountHolding()
    for quantity, price in trades:
        position.trade(signed_quantity=Decimal(quantity), price=Decimal(price))
    return position


def test_buying_more_averages_the_entry_price() -> None:
    position = _position((10, "100"), (10, "110"))

    assert (position.quantity, position.average_entry_price) == (Decimal(20), Decimal(105))


def test_selling_a_part_keeps_the_entry_price() -> None:
    position = _position((10, "100"), (-4, "150"))

    assert (position.quantity, position.average_entry_price) == (Decimal(6), Decimal(100))


def test_selling_more_than_there_is_opens_a_short_position_at_that_price() -> None:
    position = _position((10, "100"), (-15, "90"))

    assert (position.quantity, position.average_entry_price) == (Decimal(-5), Decimal(90))


def test_a_closed_position_costs_nothing() -> None:
    position = _position((10, "100"), (-10, "90"))

    assert (position.quantity, position.cost) == (Decimal(0), Decimal(0))
