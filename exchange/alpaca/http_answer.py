"""An answer of the venue by HTTP, and the ways in which there is none. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

OK = 200
MULTIPLE_CHOICES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An HTTP answer, read to its end. Header names are in lower case; only those that are used are stored."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return OK <= self.status < MULTIPLE_CHOICES


class NotConnectedError(OSError):
    """The connection could not be made, so nothing was sent."""


class AnswerLostError(OSError):
    """The connection ended, or could not be understood any more, before the answer was there."""


class AnswerTooLargeError(AnswerLostError):
    """The answer has more bytes than the settings allow."""
