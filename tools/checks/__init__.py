"""The steps of `./dev check` in addition to ready-made tools."""
