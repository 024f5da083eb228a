"""Secrets that were certainly not drawn at random are found; random ones never are."""

import random
import secrets
import string

import pytest

from runtime.settings.guessable import is_guessable


@pytest.mark.parametrize(
    "secret",
    [
        "s" * 32,
        "ab" * 20,
        "0123456789abcdef" * 2,
        "abcdefghijklmnopqrstuvwxyz012345",
        "zyxwvutsrqponmlkjihgfedcba987654",
        "aaaaaaaabbbbbbbbccccccccdddddddd",
        "13572468" * 5,
        "changeme-4f1c7a90b3e2d5f6a8c9e0d1",
        "ChangeMe4f1c7a90b3e2d5f6a8c9e0d1b",
        "your-256-bit-secret-goes-in-here!",
        "My.Password.Is.4f1c7a90b3e2d5f6a8",
    ],
)
def test_an_example_a_repetition_or_a_count_is_guessable(secret: str) -> None:
    assert is_guessable(secret)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: secrets.token_hex(16),
        lambda: secrets.token_hex(32),
        lambda: secrets.token_urlsafe(32),
        lambda: "".join(random.SystemRandom().choices(string.digits, k=32)),
        lambda: "".join(random.SystemRandom().choices(string.printable.strip(), k=32)),
    ],
    ids=["16 bytes", "32 bytes", "base64", "digits", "printable"],
)
def test_a_random_secret_of_any_form_is_not_guessable(draw: "type[str]") -> None:
    assert not [secret for secret in (draw() for _ in range(500)) if is_guessable(secret)]
