"""Tests of runtime/commands."""
