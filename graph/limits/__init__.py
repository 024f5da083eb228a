"""Limits of one account: rates, query concurrency, the deadline of an operation."""
