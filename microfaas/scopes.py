"""Scopes: what a key is allowed to do, as people write it and as a question. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from microfaas.errors import ConfigError, Problem

# What a request asks for: to run a function, to put something into a queue, topic, stream or bus,
# to take it from there, to look, or to change something.
Action = Literal["invoke", "send", "receive", "read", "admin"]

KNOWN = "invoke, invoke:NAME, invoke:PREFIX*, send and receive likewise, read, admin"
_NAMED = re.compile(
    r"invoke(?::[a-zA-Z0-9-_]{1,64}\*?)?|(?:send|receive)(?::[a-zA-Z0-9._/-]{1,256}\*?)?"
)


class Names(msgspec.Struct, frozen=True):
    """Whom an action may be done to."""

    every: bool = False
    names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def have(self, name: str) -> bool:
        """Whether a name is among them; no name is, when there is any at all."""
        if not name:
            return self.every or bool(self.names or self.prefixes)
        return self.every or name in self.names or name.startswith(self.prefixes)


class Scopes(msgspec.Struct, frozen=True):
    """A set of permissions; any of them suffices."""

    texts: tuple[str, ...]
    named: dict[str, Names] = {}
    read: bool = False
    admin: bool = False

    def allow(self, action: Action, name: str = "") -> bool:
        """Whether they permit an action: `invoke` of a function by its bare name, and so on."""
        if self.admin:
            return True
        if action in self.named:
            return self.named[action].have(name)
        return action == "read" and self.read

    def __str__(self) -> str:
        return ",".join(self.texts)


def parse(text: str, where: str = "scopes") -> Scopes:
    """`invoke:order,read` and the like. Raises ConfigError that names what would be right."""
    texts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    problems = [
        Problem(one, f"is no scope; known are: {KNOWN}") for one in texts if not _known(one)
    ]
    if not texts:
        problems.append(Problem(where, f"needs at least one of: {KNOWN}"))
    if problems:
        raise ConfigError(where, problems)
    return Scopes(
        texts=texts,
        named=_by_action(texts),
        read="read" in texts,
        admin="admin" in texts,
    )


def _by_action(texts: tuple[str, ...]) -> dict[str, Names]:
    found: dict[str, Names] = {}
    for text in texts:
        action, _, name = text.partition(":")
        if action in ("read", "admin"):
            continue
        old, wild = found.get(action, Names()), name.endswith("*")
        found[action] = Names(
            every=old.every or not name,
            names=old.names | ({name} if name and not wild else set()),
            prefixes=(*old.prefixes, name[:-1]) if wild else old.prefixes,
        )
    return found


def _known(text: str) -> bool:
    return text in ("read", "admin") or _NAMED.fullmatch(text) is not None
