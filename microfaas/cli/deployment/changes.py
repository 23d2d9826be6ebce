"""What a deployment changes: each change is noted, and made unless the deployment is dry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from microfaas.client import Client, ClientError

FUNCTIONS = "/2015-03-31/functions"
_MISSING = frozenset(
    (
        "AWS.SimpleQueueService.NonExistentQueue",
        "FunctionNotFound",
        "NotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    )
)


class Change(NamedTuple):
    """One change: `did` is a word such as "created", `what` tells more of it."""

    kind: str
    name: str
    did: str
    what: str = ""


class Changes:
    """The changes so far. When `dry`, they are noted only."""

    def __init__(self, client: Client, *, dry: bool) -> None:
        self.client = client
        self.dry = dry
        self.made: list[Change] = []

    def make(self, change: Change, action: Callable[[], object]) -> None:
        """Make a change, then note it."""
        self.make_all([change], action)

    def make_all(self, changes: Iterable[Change], action: Callable[[], object]) -> None:
        """Make changes that are one action, then note them."""
        if not self.dry:
            action()
        self.made += changes

    def look(self, path: str) -> dict[str, Any] | None:
        """What Lambda's API tells under a path; None for what is not there."""
        return self.found(lambda: self.client.rest("GET", path))

    def found(self, ask: Callable[[], Any]) -> Any | None:
        """What is told; None for what is not there. Raises ClientError."""
        try:
            return ask()
        except ClientError as error:
            if error.kind in _MISSING:
                return None
            raise


def path_of(function: str, *parts: str, version: str = "2015-03-31", qualifier: str = "") -> str:
    """The path of a function's or alias's part in Lambda's API of that version."""
    path = "/".join([f"/{version}/functions/{quote(function, safe='')}", *parts])
    return f"{path}?Qualifier={quote(qualifier, safe='')}" if qualifier else path


def called(function: str, qualifier: str) -> str:
    """A function or alias as it is called."""
    return f"{function}:{qualifier}" if qualifier else function


def differing(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """What of `wanted` is not so there."""
    return {key: value for key, value in wanted.items() if there.get(key) != value}
