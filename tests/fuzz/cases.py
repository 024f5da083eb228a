"""How many cases a fuzz test tries: 300, or as many as FUZZ_CASES says; `./dev test --fuzz` says 10,000."""

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
