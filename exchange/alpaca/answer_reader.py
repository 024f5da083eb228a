"""Reads one HTTP answer out of the bytes of a connection. Pure.

httptools parses. What it leaves open is decided here: an answer that two readers could understand in two ways is
refused (RFC 9112, section 6.3), and what is unusual but clear is read.
"""

import re
import zlib

import httptools

from exchange.alpaca.http_answer import OK, AnswerLostError, AnswerTooLargeError, HttpAnswer

HEAD_MAX_BYTES = 32_768
PARTS_MAX = 16
"""Heads of an answer, and members of its gzip: for each the rest is copied."""

_BEGIN, _HEAD_END = b"HTTP/1.", b"\r\n\r\n"
_KEPT = {
    name.encode(): name
    for name in ("date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
}
_CONTENT_LENGTH, _TRANSFER_ENCODING, _CONTENT_ENCODING = b"content-length", b"transfer-encoding", b"content-encoding"
_CODINGS = frozenset({_TRANSFER_ENCODING, _CONTENT_ENCODING})
_IDENTITY, _GZIP = frozenset({b"", b"identity"}), frozenset({b"gzip", b"x-gzip"})
_INFORMATIONAL = 100
_STATUS_AT, _ONE = len("HTTP/1.1 "), ord("1")
_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[ \t]*([0-9, \t]+?)[ \t]*(?=\r\n)", re.IGNORECASE)


class AnswerReader:
    """Reads one answer, with the ones below 200 that announce it. `answer` is there as soon as it is whole.

    `is_clean` says whether the connection can be understood behind it: the venue keeps it, and nothing more came.
    """

    __slots__ = (
        "_bytes_left",
        "_codings",
        "_has_length",
        "_head",
        "_headers",
        "_heads_left",
        "_is_whole",
        "_max_bytes",
        "_parser",
        "_parts",
        "_status",
        "answer",
        "is_clean",
    )

    def __init__(self, *, max_bytes: int) -> None:
        """Bound what may come, and what it may become when it is decompressed."""
        self.answer: HttpAnswer | None = None
        self.is_clean = True
        self._parser = httptools.HttpResponseParser(self)
        self._max_bytes = self._bytes_left = max_bytes
        self._head: bytes | None = b""
        """Of a head those bytes that have come; None once the last one is whole."""
        self._heads_left = PARTS_MAX
        self._headers: dict[str, str] = {}
        self._codings: dict[bytes, bytes] = {}
        self._has_length = False
        self._parts: list[bytes] = []
        self._status = 0
        self._is_whole = False

    def feed(self, data: bytes) -> None:
        """Read some bytes. Raise AnswerLostError when no answer can come of them any more."""
        if self.answer is not None:
            self.is_clean = False
            return
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise AnswerTooLargeError("the answer has more bytes than the settings allow")
        try:
            while self._head is not None and data:
                data = self._feed_head(self._head + data)
            if data:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_whole:
                raise AnswerLostError(f"what came is no answer: {error.__context__ or repr(error)}") from error
            self.is_clean = False
        if self._is_whole:
            self._finish()

    def end(self) -> None:
        """See that nothing more comes: the end of an answer that has no other."""
        has_end = self._has_length or _TRANSFER_ENCODING in self._codings
        if self.answer is None and self._head is None and not has_end:
            self.is_clean = False
            self._finish()

    def on_message_begin(self) -> None:
        """Stop before an answer behind the one that was asked for."""
        if self._is_whole:
            raise AnswerLostError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that somebody reads. A trailer is none (RFC 9110, section 6.5.1)."""
        if self._head is None:
            return
        name = name.lower()
        kept = _KEPT.get(name)
        if kept is not None:
            self._headers[kept] = value.decode("latin-1")
        elif name == _CONTENT_LENGTH:
            self._has_length = True
        elif name in _CODINGS:
            before = self._codings.get(name)
            self._codings[name] = value.strip().lower() if before is None else b"%s, %s" % (before, value)

    def on_headers_complete(self) -> None:
        """See whether the body can be read, unless the next head follows. Raise AnswerLostError."""
        self._status = self._parser.get_status_code()
        if self._status < OK:
            self._forget_head()
            if self._status < _INFORMATIONAL:
                raise AnswerLostError("its status is below 100")
            return
        self._head = None
        if self._codings:
            self._check_codings()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Note the end of an answer; one below 200 says only that the answer will come."""
        if self._head is None:
            self._is_whole, self.is_clean = True, self._parser.should_keep_alive()

    def _feed_head(self, head: bytes) -> bytes:
        """Read a head when it is whole, with its body or, below 200, without what is behind it; return that."""
        end = head.find(_HEAD_END)
        if not head.startswith(_BEGIN[: len(head)]) or (end if end >= 0 else len(head)) > HEAD_MAX_BYTES:
            raise AnswerLostError("what came is no answer: it has no head of HTTP/1")
        if end < 0:
            # The parser is given whole heads alone.
            if head.count(b"\n") > head.count(b"\r\n"):
                raise AnswerLostError("what came is no answer: a line of its head ends without CR")
            self._head = head
            return b""
        self._heads_left -= 1
        if self._heads_left < 0:
            raise AnswerLostError(f"what came is no answer: {PARTS_MAX} others announce it")
        end += len(_HEAD_END)
        self._head, self._status = b"", 0
        behind = end if head[_STATUS_AT] == _ONE else len(head)
        try:
            self._parser.feed_data(head[:behind])
        except httptools.HttpParserError:
            single = None if self._status else _with_one_length(head[:end])
            if single is None:
                raise
            self._forget_head()
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(single + head[end:behind])
        return head[behind:]

    def _forget_head(self) -> None:
        self._headers, self._codings, self._has_length = {}, {}, False

    def _check_codings(self) -> None:
        transfer = self._codings.get(_TRANSFER_ENCODING)
        if transfer is not None and (transfer != b"chunked" or self._parser.get_http_version() == "1.0"):
            raise AnswerLostError("its Transfer-Encoding is another than chunked, or HTTP/1.0 has none")
        if self._codings.get(_CONTENT_ENCODING, b"") not in _IDENTITY | _GZIP:
            raise AnswerLostError("its Content-Encoding is another than gzip")

    def _finish(self) -> None:
        body = b"".join(self._parts)
        if body and self._codings.get(_CONTENT_ENCODING) in _GZIP:
            body = _decompressed(body, max_bytes=self._max_bytes)
        self.answer = HttpAnswer(status=self._status, body=body, headers=self._headers)
        # It holds this reader: without that every answer would wait for the garbage collector.
        del self._parser


def _with_one_length(head: bytes) -> bytes | None:
    """Return the head with one Content-Length in place of several equal ones (RFC 9110, section 8.6), or None."""
    lengths = [length.strip(b" \t") for line in _LENGTH_LINE.findall(head) for length in line.split(b",")]
    if len(lengths) < 2 or len(set(lengths)) > 1 or not lengths[0].isdigit():  # noqa: PLR2004 - a repeated one
        return None
    return _LENGTH_LINE.sub(b"", head).replace(_HEAD_END, b"\r\ncontent-length: %s%s" % (lengths[0], _HEAD_END))


def _decompressed(body: bytes, *, max_bytes: int) -> bytes:
    """Return what the gzip holds (RFC 1952: one member or several). Raise AnswerLostError."""
    parts: list[bytes] = []
    left = max_bytes
    while body:
        if len(parts) == PARTS_MAX:
            raise AnswerLostError(f"the answer's gzip has more than {PARTS_MAX} members")
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            parts.append(member.decompress(body, left + 1))
        except zlib.error as error:
            raise AnswerLostError(f"the answer is no gzip: {error}") from error
        left -= len(parts[-1])
        if left < 0:
            raise AnswerTooLargeError("the answer has more bytes than the settings allow when it is decompressed")
        if not member.eof:
            raise AnswerLostError("the answer's gzip is cut off")
        body = member.unused_data
    return b"".join(parts)
