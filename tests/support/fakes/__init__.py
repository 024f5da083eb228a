"""The domain's ports in memory, held by `tests/contracts` to what the real adapters promise."""
