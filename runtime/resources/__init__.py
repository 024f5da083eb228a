"""What processes work with: PostgreSQL, Redis and the venue, each opened with `async with`."""
