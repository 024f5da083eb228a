"""What is not compiled. Nothing has run yet when that is found, so Strawberry can run it instead."""


class NotCovered(Exception):  # noqa: N818 - read as a sentence: raise NotCovered
    """Strawberry has to run this operation; the text says why."""
