"""Why the local stack cannot run, as sentences that say what to do."""


class LocalStackError(Exception):
    """The local stack cannot start or continue; the message says why and what to do. No traceback is shown."""
