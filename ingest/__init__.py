"""Ingest: the venue's execution stream, recorded in the database."""
