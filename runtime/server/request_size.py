"""Counts the bytes of a request while it arrives: httptools reports headers at their end, and chunks never."""


class RequestSize:
    """The size of the arriving request: of its head, of its content, and of everything else.

    Bytes that are not content are counted by slice, since the parser does not report where in a slice a request begins:
    a slice in which one begins or ends is not counted.
    """

    __slots__ = ("_content_before", "_has_restarted", "content_bytes", "head_bytes", "other_bytes")

    def __init__(self) -> None:
        self.restart()
        self.begin_slice()

    def restart(self) -> None:
        """Count from zero: a request begins, or has ended."""
        self.head_bytes = self.content_bytes = self.other_bytes = 0
        self._has_restarted = True

    def begin_slice(self) -> None:
        """Note that some bytes are about to be parsed."""
        self._has_restarted = False
        self._content_before = self.content_bytes

    def end_slice(self, slice_bytes: int, *, other_max_bytes: int) -> bool:
        """Count the bytes that were parsed; return False when more than `other_max_bytes` are not content.

        An equal number of bytes as content is allowed: small chunks need them.
        """
        if self._has_restarted:
            return True
        self.other_bytes += slice_bytes - (self.content_bytes - self._content_before)
        return self.other_bytes <= other_max_bytes + self.content_bytes
