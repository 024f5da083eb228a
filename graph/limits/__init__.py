"""What one account may ask for: rates, query concurrency, the deadline of an operation."""
