"""Tests of graph/limits."""
