"""Scopes: what a key is allowed to do, as people write it and as a question. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from microfaas.errors import ConfigError, Problem

# What a request asks for: to run a function, to look, or to change something.
Action = Literal["invoke", "read", "admin"]

KNOWN = "invoke, invoke:NAME, invoke:PREFIX*, read, admin"
_INVOKE = re.compile(r"invoke(?::([a-zA-Z0-9-_]{1,64})(\*)?)?")


class Scopes(msgspec.Struct, frozen=True):
    """A set of permissions; any of them suffices."""

    texts: tuple[str, ...]
    invoke_all: bool = False
    functions: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    read: bool = False
    admin: bool = False

    def allow(self, action: Action, function: str = "") -> bool:
        """Whether they permit an action, `invoke` of a function by its bare name."""
        if self.admin:
            return True
        if action == "invoke":
            by_name = self.invoke_all or function in self.functions
            return by_name or function.startswith(self.prefixes)
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
    invokes = [match for one in texts if (match := _INVOKE.fullmatch(one))]
    return Scopes(
        texts=texts,
        invoke_all="invoke" in texts,
        functions=frozenset(m[1] for m in invokes if m[1] and not m[2]),
        prefixes=tuple(m[1] for m in invokes if m[2]),
        read="read" in texts,
        admin="admin" in texts,
    )


def _known(text: str) -> bool:
    return text in ("read", "admin") or _INVOKE.fullmatch(text) is not None
