"""The steps of `./dev check` beside ready-made tools."""
