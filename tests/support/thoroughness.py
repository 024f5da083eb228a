"""Number of examples of the property tests: in every run enough for each listed fault (`./dev mutants`), and more
with `./dev test --thorough`.
"""

_chosen = {"is_thorough": False}


def be_thorough() -> None:
    """Use more examples. Called before the tests are imported."""
    _chosen["is_thorough"] = True


def examples(usual: int, *, thorough: int) -> int:
    """How many examples a test tries."""
    return thorough if _chosen["is_thorough"] else usual
