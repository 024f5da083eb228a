"""Follows the exchange's execution stream into the database."""
