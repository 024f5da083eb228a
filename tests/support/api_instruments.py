"""Three instruments: two that can be traded, one that cannot."""

from dataclasses import replace
from decimal import Decimal

from tests.support.examples import an_instrument

APPLE = an_instrument()
SAP = replace(
    APPLE,
    isin="DE0007164600",
    symbol="SAP",
    name="SAP SE",
    currency="EUR",
    tick_size=Decimal("0.05"),
    lot_size=Decimal("0.5"),
)
HALTED = replace(APPLE, isin="US5949181045", symbol="MSFT", name="Microsoft Corporation", tradable=False)
