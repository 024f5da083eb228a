"""The broker's own SDK against the simulated exchange, in a separate environment: run `tests/sdk/run`."""
