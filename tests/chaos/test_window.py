"""The load's own bound: it follows what the machine accepts."""

from tools.chaos.window import OPEN_FIRST, OPEN_MAX, OPEN_MIN, Window


def test_answers_open_the_window_by_one_for_each_window_full() -> None:
    window = Window()

    for _ in range(int(OPEN_FIRST) + 1):
        window.note_answer()

    assert OPEN_FIRST + 1 <= window.open_max < OPEN_FIRST + 1.1


def test_time_outs_shrink_it_once_a_second_and_never_close_it() -> None:
    window = Window()

    window.note_time_out(now=10.0)
    shrunk = window.open_max
    window.note_time_out(now=10.5)

    assert shrunk < OPEN_FIRST
    assert window.open_max == shrunk
    for second in range(11, 40):
        window.note_time_out(now=float(second))
    assert window.open_max == OPEN_MIN


def test_it_never_opens_beyond_its_bound() -> None:
    window = Window(OPEN_MAX)

    window.note_answer()

    assert window.open_max == OPEN_MAX
