"""HTTP/1.1 as far as the Runtime API needs it: strict, bounded, and fed by pieces. No I/O.

Whatever could be understood in two ways is refused: both or several lengths, folded lines, blanks
before a colon, bare line feeds.
"""

import re

# Runtimes send the cause of an error, of up to 1 MiB, as a header.
HEAD_BYTES_MAX = (1 << 20) + (1 << 16)
_CHUNK_LINE_BYTES_MAX = 256
_SEEN_MAX = 32
_SEEN_BYTES_MAX = 1024
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.([01])")
_ODD = re.compile(r"[\r\n\0]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
}
_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {reason}\r\n".encode() for status, reason in _REASONS.items()
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequest(Exception):
    """What was sent is not a request; the connection is of no use any more."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


class Request:
    """A request's head."""

    __slots__ = ("body", "headers", "keep_alive", "method", "path")

    def __init__(self, method, path, headers, keep_alive):
        self.method = method
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = _body(headers)


class Parser:
    """Reads the heads of requests."""

    def __init__(self):
        # A runtime sends the same lines again and again, and reading them anew is most of the
        # time that an invocation takes here.
        self._seen = {}
        self._last = b""
        self._last_request = None

    def parse(self, head):
        """The request whose head, without the blank line, this is. Raises BadRequest."""
        if head == self._last:
            return self._last_request
        first, _, lines = head.partition(b"\r\n")
        match = _REQUEST_LINE.fullmatch(first)
        if match is None:
            raise BadRequest(400, "this is not a request of HTTP/1.1")
        method, path, minor = match.groups()
        headers = self._seen.get(lines)
        if headers is None:
            headers = _headers(lines)
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            if len(lines) <= _SEEN_BYTES_MAX:
                self._seen[lines] = headers
        connection = headers.get("connection")
        keep_alive = minor == b"1"
        if connection is not None:
            keep_alive = _keeps(connection.lower(), keep_alive)
        path = path.decode().partition("?")[0]
        request = Request(method.decode(), path, headers, keep_alive)
        if request.body is None:  # so there is nothing to it that could change
            self._last, self._last_request = head, request
        return request


def _keeps(connection, as_usual):
    return connection != "close" if as_usual else connection == "keep-alive"


def _headers(lines):
    headers = {}
    for field in lines.decode("latin-1").split("\r\n") if lines else ():
        name, colon, value = field.partition(":")
        if not colon or _NAME.fullmatch(name) is None or _ODD.search(value):
            raise BadRequest(400, "a header is malformed")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = _joined(name, headers[name], value) if name in headers else value
    return headers


def _joined(name, first, second):
    if name in ("content-length", "transfer-encoding", "host"):
        raise BadRequest(400, f"{name} is there twice")
    return f"{first}, {second}"


def _body(headers):
    """What reads the body; None when there is none."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequest(400, "the body has two lengths")
        if coding.lower() != "chunked":
            raise BadRequest(501, "this transfer coding is unknown")
        return Chunked()
    if length is None:
        return None
    if not length.isascii() or not length.isdigit() or len(length) > 15:
        raise BadRequest(400, "Content-Length is not a number")
    return Sized(int(length)) if int(length) else None


class Sized:
    """A body of a length that is known."""

    def __init__(self, length):
        self.trailers = {}
        self.length = length
        self.missing = length

    def feed(self, buffer):
        """Take what belongs to the body out of the buffer: its pieces, and whether it is whole."""
        piece = bytes(buffer[: self.missing]) if len(buffer) > self.missing else bytes(buffer)
        del buffer[: len(piece)]
        self.missing -= len(piece)
        return [piece], self.missing == 0


class Chunked:
    """A body in chunks, perhaps with trailers."""

    length = None

    def __init__(self):
        self.trailers = {}
        self._missing = 0  # of the chunk that is being read
        self._state = self._size

    def feed(self, buffer):
        """As Sized.feed. Raises BadRequest."""
        if self._state == self._size and buffer.endswith(_LAST_CHUNK):
            piece = _only_chunk(buffer)
            if piece is not None:
                self._state = None
                return [piece], True
        pieces = []
        while self._state is not None and self._state(buffer, pieces):
            pass
        return pieces, self._state is None

    def _size(self, buffer, pieces):
        line = _line(buffer, _CHUNK_LINE_BYTES_MAX)
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise BadRequest(400, "the size of a chunk is not a number")
        self._missing = int(match[1], 16)
        self._state = self._data if self._missing else self._trailer
        return True

    def _data(self, buffer, pieces):
        if not buffer:
            return False
        piece = bytes(buffer[: self._missing])
        del buffer[: len(piece)]
        pieces.append(piece)
        self._missing -= len(piece)
        if not self._missing:
            self._state = self._end
        return True

    def _end(self, buffer, pieces):
        line = _line(buffer, 0)
        if line is None:
            return False
        self._state = self._size
        return True

    def _trailer(self, buffer, pieces):
        line = _line(buffer, HEAD_BYTES_MAX)
        if line is None:
            return False
        if not line:
            self._state = None
            return False
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or _NAME.fullmatch(name) is None or len(self.trailers) > 64:
            raise BadRequest(400, "a trailer is malformed")
        self.trailers[name.lower()] = value.strip(" \t")
        return True


def _only_chunk(buffer):
    """The data of a buffer that is one chunk and the end of the body, as small bodies are."""
    start = buffer.find(b"\r\n", 0, _CHUNK_LINE_BYTES_MAX)
    match = _CHUNK_SIZE.fullmatch(buffer, 0, start) if start > 0 else None
    size = int(match[1], 16) if match else 0
    if not size or start + 2 + size + len(_LAST_CHUNK) != len(buffer):
        return None
    piece = bytes(buffer[start + 2 : -len(_LAST_CHUNK)])
    del buffer[:]
    return piece


def _line(buffer, bytes_max):
    """The next line, taken out of the buffer; None when it is not whole yet."""
    end = buffer.find(b"\r\n", 0, bytes_max + 2)
    if end < 0:
        if len(buffer) >= bytes_max + 2:
            raise BadRequest(400, "a line is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


def response(status, body, headers=b"", content_type=b"application/json", close=False):
    """A whole response; `headers` are lines with their ends."""
    return b"%sContent-Type: %s\r\nContent-Length: %d\r\n%s%s\r\n%s" % (
        _STATUS_LINES[status],
        content_type,
        len(body),
        headers,
        b"Connection: close\r\n" if close else b"",
        body,
    )
