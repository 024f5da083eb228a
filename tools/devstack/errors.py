"""Reasons why the local stack cannot run, as messages with the fix."""


class LocalStackError(Exception):
    """The local stack cannot start or continue; the message has the reason and the fix. No traceback is shown."""
