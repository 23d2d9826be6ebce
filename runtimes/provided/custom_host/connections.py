"""One connection to the APIs: requests in, answers out, in the order in which they were asked."""

import select
import socket

from custom_host import http11
from custom_host.answers import fault

_READ_BYTES = 16 * 1024
_READ_BYTES_BODY = 1024 * 1024


class Connection:
    """Belongs to `api`, which opens a sink for each request and may park the answer."""

    def __init__(self, sock, api, poll):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = sock.fileno()
        self._sock = sock
        self._api = api
        self._poll = poll
        self._parser = http11.Parser()
        self._buffer = bytearray()
        self._searched = 0
        self._request = None
        self._sink = None
        self._parked = False
        self._advancing = False
        self._unsent = bytearray()
        poll.register(self.fd, select.EPOLLIN)

    def on_event(self, events):
        if self._unsent and events & select.EPOLLOUT:
            self._send(b"")
        if events & ~select.EPOLLOUT:
            self._read()

    def park(self):
        """The answer comes later."""
        self._parked = True

    def reply(self, status, body, headers=b"", content_type=b"application/json"):
        close = not self._request.keep_alive
        self._request = self._sink = None
        self._parked = False
        self._send(http11.response(status, body, headers, content_type, close))
        if close:
            self.close()
        elif self._buffer and not self._advancing:
            self._advance()

    def close(self):
        if self.fd < 0:
            return
        self._poll.unregister(self.fd)
        self._sock.close()
        fd, self.fd = self.fd, -1
        sink, self._sink = self._sink, None
        if sink is not None and not self._parked:
            sink.cut()
        self._api.closed(self, fd)

    def _read(self):
        try:
            data = self._sock.recv(_READ_BYTES_BODY if self._sink else _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        if self._parked and len(self._buffer) > _READ_BYTES:
            self.close()  # it goes on asking before it is answered
            return
        self._advance()

    def _advance(self):
        """Serve what has arrived, as far as it can be served now."""
        self._advancing = True
        try:
            while self.fd >= 0 and not self._parked:
                if not (self._take_head() if self._request is None else self._take_body()):
                    break
        except http11.BadRequest as error:
            self._send(http11.response(error.status, fault("BadRequest", str(error)), close=True))
            self.close()
        finally:
            self._advancing = False

    def _take_head(self):
        """Whether there was a whole one."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            if len(buffer) > http11.HEAD_BYTES_MAX:
                raise http11.BadRequest(431, "the head is too large")
            self._searched = max(0, len(buffer) - 3)
            return False
        request = self._parser.parse(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._searched = 0
        self._request = request
        self._sink = self._api.open(self, request)
        if request.body is None:
            self._finish({})
        elif request.headers.get("expect", "").lower() == "100-continue":
            self._send(http11.CONTINUE)
        return True

    def _take_body(self):
        """Whether it is whole now."""
        body = self._request.body
        pieces, whole = body.feed(self._buffer)
        if pieces:
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if piece:
                self._sink.take(piece)
        if whole:
            self._finish(body.trailers)
        return whole

    def _finish(self, trailers):
        sink, self._sink = self._sink, None
        sink.done(trailers)

    def _send(self, data):
        """Send, or keep what the other side does not take in yet."""
        if self._unsent:
            self._unsent += data
            data = self._unsent
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # it hangs up; reading finds that out
        if sent == len(data) and not self._unsent:
            return
        waited = bool(self._unsent)
        self._unsent = bytearray(data[sent:])
        if bool(self._unsent) != waited:
            wanted = select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0)
            self._poll.modify(self.fd, wanted)
