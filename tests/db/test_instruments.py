"""The memory of the instrument catalog: what was found is believed for a while, and looked up by one call for all."""

from tests.support.examples import an_instrument

CACHE_SECONDS = 5.0
APPLE = an_instrument()
