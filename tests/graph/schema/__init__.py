"""Tests of graph/schema."""
