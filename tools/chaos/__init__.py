"""The fault run: a complete system under load and injected faults, then checked against the promises."""
