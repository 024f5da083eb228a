"""Tests of graph/http."""
