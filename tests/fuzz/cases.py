"""The number of cases of a fuzz test: 300, or FUZZ_CASES."""

import os

from hypothesis import HealthCheck, Phase, settings

CASES = int(os.environ.get("FUZZ_CASES", "300"))

# The server is shared by all cases, and there are many: both are intended. Explaining a failure traces every line,
# which the server's deadlines do not allow.
fuzz = settings(
    max_examples=CASES,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TIMEOUT_SECONDS = 60 + CASES
