"""Which operation an HTTP method and a path mean, where a protocol has paths. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from microfaas.gateway.aws import query_form
from microfaas.gateway.aws.model import Model, Operation, Unserved


class Found(NamedTuple):
    """An operation, served or not, and the labels in its path by their names, decoded."""

    model: Model
    operation: str
    named: Mapping[str, str]


class _Place(NamedTuple):
    """Where an operation is. `fixed` is the part of the query that is the operation's own."""

    model: Model
    operation: str
    segments: tuple[str, ...]
    fixed: Mapping[str, str]

    @property
    def specific(self) -> tuple[int, int]:
        return len(self.fixed), sum(not _is_label(segment) for segment in self.segments)

    def labels(self, path: Sequence[str]) -> dict[str, str] | None:
        """What stands for the labels in a path with as many segments; None if it is another."""
        pairs = list(zip(self.segments, path, strict=True))
        if any(ours != theirs for ours, theirs in pairs if not _is_label(ours)):
            return None
        return {ours[1:-1]: unquote(theirs) for ours, theirs in pairs if _is_label(ours)}


class Paths:
    """All paths of some services."""

    def __init__(self, models: Iterable[Model]) -> None:
        # By what is looked for first: the method, the first segment, how many there are.
        self._places: dict[tuple[str, str, int], list[_Place]] = defaultdict(list)
        for model in models:
            if "rest-json" in model.protocols:
                for known in (model.operations, model.unserved):
                    for name, operation in known.items():
                        self._add(model, name, operation)
        for places in self._places.values():
            places.sort(key=lambda place: place.specific, reverse=True)

    @property
    def prefixes(self) -> set[str]:
        """The first segments."""
        return {first for _, first, _ in self._places}

    def find(self, method: str, path: str, query: str) -> Found | None:
        """What is meant; of several, the most specific. A slash at the end says nothing.

        A path's segments are what the client wrote between slashes: `%2F` separates none.
        """
        segments = path.strip("/").split("/")
        places = self._places.get((method, segments[0], len(segments)), ())
        pairs = query_form.lenient(query) if any(place.fixed for place in places) else {}
        for place in places:
            if place.fixed.items() <= pairs.items():
                named = place.labels(segments)
                if named is not None:
                    return Found(place.model, place.operation, named)
        return None

    def _add(self, model: Model, name: str, operation: Operation | Unserved) -> None:
        path, _, query = operation.uri.partition("?")
        segments = tuple(path.strip("/").split("/"))
        place = _Place(model, name, segments, query_form.lenient(query))
        self._places[operation.method, segments[0], len(segments)].append(place)


def _is_label(segment: str) -> bool:
    return segment.startswith("{")
