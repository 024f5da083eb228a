"""The broker's own SDK against the simulated exchange, in an environment of its own: run `tests/sdk/run`."""
