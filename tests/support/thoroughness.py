"""How far those tests look that try many examples: in every run far enough for each listed fault (`./dev mutants`), and
further with `./dev test --thorough`."""

_chosen = {"is_thorough": False}


def be_thorough() -> None:
    """Look further. Called before the tests are imported."""
    _chosen["is_thorough"] = True


def examples(usual: int, *, thorough: int) -> int:
    """How many examples a test tries."""
    return thorough if _chosen["is_thorough"] else usual
