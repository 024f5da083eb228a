"""Tests of runtime/resources."""
