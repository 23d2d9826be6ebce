"""The control API's part about events: what became of them, and what is to become of dead ones."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from microfaas import log
from microfaas.dispatch.history import LIMIT_MAX, WAIT_S_MAX, History, Record
from microfaas.dispatch.letters import Done, Letters, Selection
from microfaas.errors import InvalidRequest
from microfaas.gateway.reply import Reply, as_json
from microfaas.scopes import Action
from microfaas.store.dead import Buried
from microfaas.store.results import Attempt

LIMIT = 100
_N = TypeVar("_N", int, float)


class Asked(NamedTuple):
    """A request that was understood as far as its path; `permit` raises AccessRefused."""

    request_id: str
    id: str
    query: Mapping[str, str]
    body: bytes
    permit: Callable[[Action, str], None]


class Operation(NamedTuple):
    """A row of the control API. Without an action, its answer asks for permission itself."""

    method: str
    path: str
    name: str
    action: Action | None
    answer: Callable[[Asked], Awaitable[Reply]]


class InvocationsApi:
    """Makes replies of what the history and the letters say."""

    def __init__(self, history: History, letters: Letters, more: Sequence[Operation] = ()) -> None:
        """`more` are rows that others answer."""
        self._history = history
        self._letters = letters
        self.operations = (
            Operation("GET", "/invocations", "ListInvocations", "read", self._list),
            Operation("GET", "/invocations/{id}", "GetInvocation", "read", self._show),
            Operation("DELETE", "/invocations/{id}", "CancelInvocation", None, self._cancel),
            Operation("GET", "/dead", "ListDeadLetters", "read", self._dead),
            Operation("GET", "/dead/{id}", "GetDeadLetter", "read", self._letter),
            Operation("POST", "/dead/redrive", "RedriveDeadLetters", "admin", self._redrive),
            Operation("POST", "/dead/purge", "PurgeDeadLetters", "admin", self._purge),
            *more,
        )

    def close(self) -> None:
        """Let nobody wait any more."""
        self._history.close()

    async def _list(self, asked: Asked) -> Reply:
        limit = _number(asked.query, "limit", int, LIMIT, LIMIT_MAX)
        function, status = asked.query.get("function"), asked.query.get("status")
        records = self._history.recent(function or None, status or None, limit)
        return as_json({"invocations": [_row(record) for record in records]}, asked.request_id)

    async def _show(self, asked: Asked) -> Reply:
        wait_s = _number(asked.query, "wait_s", float, 0.0, WAIT_S_MAX)
        return as_json(_whole(await self._history.wait(asked.id, wait_s)), asked.request_id)

    async def _cancel(self, asked: Asked) -> Reply:
        try:
            function = self._history.find(asked.id).function
        except InvalidRequest:
            # Who may cancel nothing does not learn what there is.
            asked.permit("admin", "")
            raise
        asked.permit("invoke", function)
        return as_json(_whole(await self._history.cancel(asked.id)), asked.request_id)

    async def _dead(self, asked: Asked) -> Reply:
        limit = _number(asked.query, "limit", int, LIMIT, LIMIT_MAX)
        older = asked.query.get("older_than_s")
        chosen = Selection(
            function=asked.query.get("function") or None,
            error=asked.query.get("error") or None,
            older_than_s=None
            if older is None
            else _number(asked.query, "older_than_s", float, 0.0),
        )
        buried = self._letters.recent(chosen, limit)
        return as_json({"dead_letters": [_letter_row(one) for one in buried]}, asked.request_id)

    async def _letter(self, asked: Asked) -> Reply:
        buried = self._letters.find(asked.id)
        event = buried.letter.event.decode(errors="replace")
        return as_json({**_letter_row(buried), "event": event}, asked.request_id)

    async def _redrive(self, asked: Asked) -> Reply:
        return as_json(
            _done("redriven", await self._letters.redrive(_selection(asked))), asked.request_id
        )

    async def _purge(self, asked: Asked) -> Reply:
        return as_json(
            _done("purged", await self._letters.purge(_selection(asked))), asked.request_id
        )


def _number(
    query: Mapping[str, str], name: str, kind: Callable[[str], _N], default: _N, most: float = 1e12
) -> _N:
    """A number of the query, from 0 to the most. Raises InvalidRequest."""
    text = query.get(name)
    if text is None:
        return default
    try:
        number = kind(text)
        if math.isfinite(number) and 0 <= number <= most:
            return number
    except ValueError:
        pass
    raise InvalidRequest(f"{name}={text[:40]} must be a number from 0 to {most:g}")


def _selection(asked: Asked) -> Selection:
    """Raises InvalidRequest."""
    try:
        return msgspec.json.decode(asked.body, type=Selection)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body must be JSON that selects dead letters: {error}") from None


def _row(record: Record) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "function": record.function,
        "qualifier": record.qualifier,
        "source": record.source,
        "status": record.status,
        "accepted_at": log.stamp(record.accepted_ms / 1000),
        "finished_at": _stamp(record.finished_ms),
        "attempts": record.attempts,
        "next_attempt_at": _stamp(record.next_ms),
    }


def _whole(record: Record) -> dict[str, Any]:
    """With the attempts that failed, and the result as the text that the function returned."""
    payload = record.payload
    return {
        **_row(record),
        "history": [_attempt(attempt) for attempt in record.history],
        "payload": None if payload is None else payload.decode(errors="replace"),
        "truncated": record.truncated,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "finished_at": log.stamp(attempt.at_ms / 1000),
        "status": attempt.status,
        "wall_ms": attempt.wall_ms,
        "error": attempt.error,
    }


def _letter_row(buried: Buried) -> dict[str, Any]:
    letter = buried.letter
    return {
        "id": buried.id,
        "request_id": letter.request_id,
        "function": letter.function,
        "source": letter.source,
        "queue": letter.queue,
        "error": letter.kind,
        "payload": letter.error.decode(errors="replace"),
        "attempts": letter.attempts,
        "died_at": log.stamp(letter.at_ms / 1000),
    }


def _done(word: str, done: Done) -> dict[str, Any]:
    return {word: done.number, "left": done.left, "why": done.why}


def _stamp(at_ms: int | None) -> str | None:
    return None if at_ms is None else log.stamp(at_ms / 1000)
