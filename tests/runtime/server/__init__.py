"""Tests of runtime/server."""
