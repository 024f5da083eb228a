"""One-line faults, planted one at a time: each must be found by its named tests."""
