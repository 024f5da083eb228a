"""Generated tests by Hypothesis, with FUZZ_CASES cases."""
