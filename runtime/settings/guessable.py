"""Whether a secret that signs something could be guessed. Pure.

A signature can be tried against guesses offline, at billions of guesses a second. Whether a text was generated at
random cannot be seen in it: only certainly weak texts are found.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

ENTROPY_MIN_BITS = 72.0
"""As estimated here, which is below the true value of a random text: 32 hexadecimal digits get 96 or more of 128."""
PLACEHOLDERS = (
    "change-me",
    "change_me",
    "changeme",
    "changeit",
    "default",
    "development",
    "example",
    "fillwire",
    "insecure",
    "letmein",
    "password",
    "placeholder",
    "qwerty",
    "secret",
)
"""Words of documentation and of lists of passwords. A random text of 43 characters holds one of six letters, whatever
their case, once in thirty million."""


def is_guessable(secret: str) -> bool:
    """Return whether the secret contains a placeholder's word, repeats itself, or counts up or down."""
    lowered = secret.lower()
    return any(word in lowered for word in PLACEHOLDERS) or estimated_bits(secret) < ENTROPY_MIN_BITS


def estimated_bits(secret: str) -> float:
    """Return an estimate of the bits needed to guess the text, if it was generated character by character."""
    once = secret[: _period(secret)]
    steps = [ord(after) - ord(before) for before, after in pairwise(once)]
    return min(_bits(once), _bits(steps)) if steps else 0.0


def _period(text: str) -> int:
    """Return after how many characters the text begins again; its length when it does not."""
    return next((size for size in range(1, len(text)) if text.startswith(text[size:])), len(text))


def _bits(symbols: Sequence[Hashable]) -> float:
    counts, total = Counter(symbols), len(symbols)
    return -sum(count * math.log2(count / total) for count in counts.values())
