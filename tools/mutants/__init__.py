"""One-line faults, planted one at a time: each must be found by the tests that are named beside it."""
