"""What is not compiled. Nothing has run yet when that is found, so Strawberry can run it instead."""


class NotCompilableError(Exception):
    """Strawberry has to run this operation; the text says why."""
