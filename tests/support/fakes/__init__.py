"""The domain's ports in memory; `tests/contracts` runs the same tests over them as over the real adapters."""
