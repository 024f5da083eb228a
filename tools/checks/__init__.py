"""What `./dev check` runs beside ready-made tools."""
