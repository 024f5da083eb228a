"""What every benchmark shares: servers, the load generator, rounds, figures and ratios, tables, files."""
