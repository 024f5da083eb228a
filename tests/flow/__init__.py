"""Complete orders through real PostgreSQL, Valkey and the simulated exchange."""
