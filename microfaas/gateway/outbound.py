"""What a function says as an HTTP response, on its way to the client: whole, or in pieces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from aiohttp import web

from microfaas.gateway.answers import Answers
from microfaas.gateway.cors import Cors
from microfaas.gateway.reply import Reply
from microfaas.model import RESULT_BYTES_MAX, Outcome
from microfaas.payloads import http_answer
from microfaas.payloads.http_answer import Answer, Malformed, Opening
from microfaas.payloads.http_request import Occasion

_BAD_GATEWAY = Answer(502, (("Content-Type", "application/json"),), b"Internal Server Error")
_BYTES = (("Content-Type", "application/octet-stream"),)

_log = logging.getLogger("microfaas.gateway")


class Outbound:
    """The response to one request."""

    def __init__(
        self,
        request: web.Request,
        answers: Answers,
        occasion: Occasion,
        function: str,
        *,
        cors: Cors | None = None,
        streams: bool = False,
        read: Callable[[bytes], Answer] = http_answer.of_result,
        failed: Answer = _BAD_GATEWAY,
    ) -> None:
        """`streams`: pieces are passed on as they come, and not gathered.

        `read` says what a whole result means, or raises Malformed; `failed` is the answer to what
        the function does wrong.
        """
        self._request = request
        self._answers = answers
        self._occasion = occasion
        self._function = function
        self._cors = cors
        self._streams = streams
        self._read = read
        self._wrong = failed
        self._opening = Opening()
        # What a streamed result says at its beginning; gathered pieces, and their bytes.
        self._answer: Answer | None = None
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._fault = ""
        self._streamed = False
        self._begun: web.StreamResponse | None = None

    async def take(self, piece: bytes, content_type: str) -> None:
        """A piece of a streamed result. Raises ConnectionError when the client has left."""
        self._streamed = True
        if self._fault:
            return
        if self._answer is None:
            try:
                self._answer = self._opening.take(piece, content_type)
            except Malformed as error:
                self._fault = str(error)
            if self._answer is None:
                return
            piece = self._answer.body
            if self._streams:
                self._begun = await self._answers.begun(self._reply(self._answer), self._request)
        if self._begun is not None:
            if piece:
                await self._begun.write(piece)
            return
        self._bytes += len(piece)
        if self._bytes > RESULT_BYTES_MAX:
            self._fault = f"it has more than {RESULT_BYTES_MAX} bytes"
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    async def end(self, outcome: Outcome) -> web.StreamResponse:
        """The response, complete; one that was begun and then failed is cut off."""
        if outcome.ok and self._streamed:
            await self.take(outcome.payload, "")
        if self._begun is None:
            return self._answers.whole(self._reply(self._whole(outcome)))
        if not outcome.ok:
            return self._cut(self._begun)
        await self._begun.write_eof()
        return self._begun

    def say(self, answer: Answer) -> web.StreamResponse:
        """Answer with what was to be said in any case."""
        return self._answers.whole(self._reply(answer))

    def refuse(self, reply: Reply) -> web.StreamResponse:
        """Answer with what the gateway itself has to say."""
        if self._begun is not None:
            return self._cut(self._begun)
        return self._answers.whole(reply._replace(headers=reply.headers + lines(self._shared(()))))

    def _cut(self, begun: web.StreamResponse) -> web.StreamResponse:
        """Hang up before the body's end, so that nobody takes what came for the whole."""
        if self._request.transport is not None:
            self._request.transport.close()
        return begun

    def _whole(self, outcome: Outcome) -> Answer:
        if not outcome.ok:
            return self._wrong
        if self._streamed:
            if self._answer is not None and not self._fault:
                return self._answer._replace(body=b"".join(self._pieces))
            return self._failed(self._fault or "its prelude has no end")
        if self._streams:
            return Answer(200, _BYTES, outcome.payload)
        try:
            return self._read(outcome.payload)
        except Malformed as error:
            return self._failed(str(error))

    def _failed(self, why: str) -> Answer:
        request_id = self._occasion.request_id
        _log.warning("%s: cannot send the response to %s: %s", self._function, request_id, why)
        return self._wrong

    def _reply(self, answer: Answer) -> Reply:
        occasion = self._occasion
        ours = (
            f"x-amzn-RequestId: {occasion.request_id}\r\nX-Amzn-Trace-Id: {occasion.trace_id}\r\n"
        )
        return Reply(answer.status, lines(self._shared(answer.headers)) + ours, answer.body)

    def _shared(self, headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        """Headers, with what lets pages of other origins see the response."""
        if self._cors is None:
            return headers
        return self._cors.applied(headers, self._request.headers.get("Origin", ""))


def lines(headers: Iterable[tuple[str, str]]) -> str:
    """Headers as a Reply has them."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers)
