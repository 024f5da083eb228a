"""Tests of runtime/alerts."""
