"""The routes that are served now, and which one a request means."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from microfaas.config.http import ANY, REST, VARIABLE, Route
from microfaas.model import qualified
from microfaas.payloads.authorizers import Authorizer
from microfaas.payloads.http_answer import Answer


class Served(NamedTuple):
    """A route and whom it calls. `payload` is the event's version; `public`: without a key.

    An `authorizer` says who may call, where there is one. `cors` has AWS's names. `mock` is
    answered without calling anybody.
    """

    route: Route
    function: str
    qualifier: str = ""
    payload: str = "2.0"
    public: bool = False
    cors: Mapping[str, Any] | None = None
    mock: Answer | None = None
    authorizer: Authorizer | None = None

    @property
    def called(self) -> str:
        """What it calls, as `NAME` or `NAME:QUALIFIER`."""
        return qualified(self.function, self.qualifier)


class Match(NamedTuple):
    """What a request means, and the variables in its path."""

    served: Served
    parameters: dict[str, str]


class HttpRoutes:
    """Routes come and go with their triggers."""

    def __init__(self) -> None:
        self._served: list[Served] = []

    def add(self, served: Served) -> None:
        bisect.insort(self._served, served, key=lambda each: each.route.order)

    def remove(self, served: Served) -> None:
        """Raises ValueError when it is not there."""
        self._served.remove(served)

    def find(self, method: str, path: str) -> Match | None:
        """The most specific route that fits; `path` is still encoded."""
        parts = path.split("/")[1:]
        for served in self._served:
            if served.route.method in (method, ANY, ""):
                parameters = _fit(served.route, parts)
                if parameters is not None:
                    return Match(served, parameters)
        return None


def _fit(route: Route, parts: Sequence[str]) -> dict[str, str] | None:
    """The variables' values, decoded; None when the path is another."""
    if not route.method:
        return {}
    parameters: dict[str, str] = {}
    for number, segment in enumerate(route.segments):
        given = parts[number] if number < len(parts) else ""
        if segment.kind == REST:
            rest = "/".join(parts[number:])
            return {**parameters, segment.text: unquote(rest)} if rest else None
        if segment.kind == VARIABLE:
            if not given:
                return None
            parameters[segment.text] = unquote(given)
        elif unquote(given) != unquote(segment.text) or number >= len(parts):
            return None
    return parameters if len(parts) == len(route.segments) else None
