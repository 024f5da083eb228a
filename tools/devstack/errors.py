"""What can keep the local stack from running, as sentences a person can act on."""


class LocalStackError(Exception):
    """The local stack cannot start or go on; the message says why and what to do, and is shown without a traceback."""
