"""Tests of the use cases and mechanisms."""
