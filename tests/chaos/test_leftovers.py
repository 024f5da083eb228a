"""Resources after the quiet phase: those from before, and those that pools keep by design."""

from collections import Counter

from tools.chaos.leftovers import compare, ends_in_the_calm

BEFORE = {"tasks of api-1": 12.0, "tasks of api-2": 14.0, "Valkey connections": 100.0}


def _over(held: dict[str, float]) -> list[str]:
    return [each.name for each in compare(held, BEFORE) if each.value > each.allowed]


def test_what_was_held_before_the_load_may_be_held_after_it_by_any_process_of_the_kind() -> None:
    assert _over({"tasks of api-1": 14.0, "tasks of api-2": 14.0, "Valkey connections": 100.0}) == []


def test_tasks_connections_and_subscribers_that_stay_are_leftovers() -> None:
    held = {
        "tasks of api-1": 40.0,
        "PostgreSQL connections of fillwire api 77": 11.0,
        "Valkey connections": 300.0,
        "sockets of api-1": 1.0,
        "subscribers of api-2": 1.0,
    }

    assert _over(held) == list(held)


def test_only_keys_that_an_idle_system_has_may_be_in_valkey() -> None:
    allowed = {"keys saq:fillwire:stats": 1.0, r"keys saq:fillwire:worker_info:.*": 2.0}

    assert _over(allowed) == []
    assert _over({"keys saq:job:fillwire": 1.0}) == ["keys saq:job:fillwire"]
    assert _over({r"keys saq:fillwire:worker_info:.*": 3.0}) == [r"keys saq:fillwire:worker_info:.*"]


def test_a_process_that_ends_once_the_faults_are_over_is_a_leftover() -> None:
    before = Counter({"api-1 died (-9)": 3})

    assert ends_in_the_calm(before.copy(), before) == []
    (ended,) = ends_in_the_calm(before + Counter({"worker-2 died (1)": 1}), before)
    assert (ended.name, ended.value, ended.allowed) == ("ended in the calm: worker-2 died (1)", 1, 0)
