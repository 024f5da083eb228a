"""Ends a command whose reader has closed its output, as `| head` does, as quietly as SIGPIPE would.

The signal itself stays ignored: it would also end a command whose connection to the database breaks.
"""

import os
import sys
from collections.abc import Callable

EXIT_OUTPUT_CLOSED = 128 + 13
"""What shells report of a program that SIGPIPE (13) has ended."""


def run_until_output_closes(command: Callable[[], int]) -> int:
    """Run the command and return its exit code, or EXIT_OUTPUT_CLOSED once the reader has closed its output."""
    try:
        exit_code = command()
        sys.stdout.flush()
    except* BrokenPipeError:
        # What is still buffered would fail again when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        exit_code = EXIT_OUTPUT_CLOSED
    return exit_code


def is_closed_output(error: Exception) -> bool:
    """Return whether the error means that the output was closed."""
    if isinstance(error, ExceptionGroup):
        return all(is_closed_output(each) for each in error.exceptions)
    return isinstance(error, BrokenPipeError)
