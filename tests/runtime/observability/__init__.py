"""Tests of runtime/observability."""
