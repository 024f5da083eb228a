"""Tests of runtime/processes."""
