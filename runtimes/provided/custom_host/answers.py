"""What the APIs answer, and the sinks that take in the body of a request before they do."""

import json

# Lambda's limit for a response that is not streamed.
RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
ACCEPTED = b'{"status":"OK"}\n'
NOT_ALLOWED = "State transition is not allowed"


def fault(kind, message):
    return json.dumps({"errorMessage": message, "errorType": kind}).encode() + b"\n"


class Refusal:
    """Answers with an error, once the body that belongs to the request is out of the way."""

    def __init__(self, connection, status, kind, message):
        self._connection = connection
        self._answer = status, fault(kind, message)

    def take(self, piece):
        """Nothing of it is wanted."""

    def done(self, trailers):
        self._connection.reply(*self._answer)

    def cut(self):
        """The connection ended first: there is nobody to answer."""


class Plain(Refusal):
    """Answers with what is known already."""

    def __init__(self, connection, status, body, content_type=b"application/json"):
        self._connection = connection
        self._answer = status, body, b"", content_type


class Collected:
    """Gives a body as a whole to `finish`, or None for one that is larger than Lambda takes.

    What follows the body, its trailers, is given along.
    """

    def __init__(self, finish, length=None, cut=None):
        self._finish = finish
        self._cut = cut
        self._pieces = []
        self._room = RESPONSE_BYTES_MAX
        if length is not None and length > self._room:
            self._room = -1

    def take(self, piece):
        self._room -= len(piece)
        if self._room >= 0:
            self._pieces.append(piece)
        else:
            self._pieces = []

    def done(self, trailers):
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._finish(None if self._room < 0 else body, trailers)

    def cut(self):
        if self._cut:
            self._cut()
