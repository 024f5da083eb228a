"""Tests of graph/auth."""
