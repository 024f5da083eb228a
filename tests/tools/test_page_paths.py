"""The check of the paths that pages name."""

from tools.checks.paths import find_problems

EXISTING = {
    ".",
    "README.md",
    "docs",
    "docs/api.md",
    "docs/decisions",
    "domain",
    "domain/model",
    "domain/model/order.py",
}


def test_paths_from_the_root_and_relative_to_the_page_are_found() -> None:
    text = "`domain/model/order.py`, `domain/model/`, [the API](api.md#codes), [read me](../README.md), `decisions/`"

    assert list(find_problems("docs/operations.md", text, existing=EXISTING)) == []


def test_a_path_that_is_not_there_is_named_with_its_line() -> None:
    text = "One\n`domain/order.py` and `domain/old/`, `tests/gone.py`\n[the API](api.md)"

    assert list(find_problems("README.md", text, existing=EXISTING)) == [
        "README.md:2 names domain/order.py, which is not there",
        "README.md:2 names domain/old/, which is not there",
        "README.md:2 names tests/gone.py, which is not there",
        "README.md:3 names api.md, which is not there",
    ]


def test_what_only_looks_like_a_path_is_passed_over() -> None:
    text = "`application/json`, `/graphql`, `orders/second`, [site](https://fillwire.example/a.md), [here](#below)"

    assert list(find_problems("README.md", text, existing=EXISTING)) == []
