"""The cache of the instrument catalog: results are valid for a while, and concurrent look-ups share a call."""

from tests.support.examples import an_instrument

CACHE_SECONDS = 5.0
APPLE = an_instrument()
