"""The options of a run."""

import pytest

from tools.chaos.options import read_options


def test_a_run_of_a_minute_needs_no_option_and_draws_its_seed() -> None:
    options = read_options([])

    assert options.storm_seconds == 60
    assert (options.orders_per_second, options.subscribers) == (300, 300)
    assert not options.naive
    assert options.has_id_check
    assert not options.must_violate
    assert options.seed >= 0


@pytest.mark.parametrize(
    "mode",
    [
        [],
        ["--naive"],
        ["--habits", "0.5", "--skew-seconds", "7"],
        ["--no-id-check"],
        ["--no-id-check", "--sabotage", "no-look-up"],
    ],
)
def test_the_command_that_a_run_prints_repeats_it(mode: list[str]) -> None:
    options = read_options(
        ["--minutes", "2.5", "--seed", "7", "--orders-per-second", "50", "--subscribers", "9", *mode]
    )

    again = read_options(options.command.removeprefix("./dev chaos ").split())

    assert again == options


@pytest.mark.parametrize(
    "arguments",
    [
        ["--minutes", "0"],
        ["--minutes", "601"],
        ["--orders-per-second", "0"],
        ["--subscribers", "-1"],
        ["--habits", "11"],
    ],
)
def test_what_cannot_be_run_is_refused_with_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_options(arguments)

    assert f"{arguments[0]} must be" in capsys.readouterr().err
