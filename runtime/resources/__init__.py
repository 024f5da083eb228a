"""What processes work with, each opened with `async with`. This is the one place where ports meet their adapters.

A process opens what it needs on one exit stack, so that a half-opened thing does not exist and everything closes in the
reverse order.
"""
