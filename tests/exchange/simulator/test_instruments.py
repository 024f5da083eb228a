"""The listed instruments are real ones."""

from stdnum import isin

from exchange.simulator.instruments import listed_instruments


def test_every_isin_has_a_right_check_digit() -> None:
    assert [each.isin for each in listed_instruments() if not isin.is_valid(each.isin)] == []


def test_no_isin_and_no_symbol_is_listed_twice() -> None:
    listed = listed_instruments()

    assert len({each.isin for each in listed}) == len(listed)
    assert len({each.symbol for each in listed}) == len(listed)
    assert len({each.asset_id for each in listed}) == len(listed)


def test_most_instruments_are_tradable_and_a_few_are_not() -> None:
    not_tradable = [each.symbol for each in listed_instruments() if not each.tradable]

    assert len(listed_instruments()) >= 60
    assert not_tradable == ["TWTR", "ATVI", "VMW"]


def test_reference_prices_are_whole_ticks() -> None:
    assert all(each.reference_price % each.tick_size == 0 for each in listed_instruments())
