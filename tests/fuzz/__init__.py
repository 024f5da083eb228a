"""Tests that try what nobody would: by Hypothesis, as many cases as FUZZ_CASES says."""
