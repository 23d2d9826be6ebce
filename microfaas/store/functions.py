"""The functions that are served, and which version a name and qualifier mean now."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from microfaas.errors import FunctionFailed, FunctionNotFound
from microfaas.model import LATEST, Version


class Pointer(NamedTuple):
    """What an alias means: a version's number; and another one's, for a share of the calls."""

    number: str
    other: str = ""
    share: float = 0.0


class _Served:
    """One function: its versions by their numbers, and its aliases."""

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {}
        self.aliases: dict[str, Pointer] = {}
        # Why there is no such version, though there should be.
        self.faults: dict[str, str] = {}


class Functions:
    """Names to versions. Every function has a version $LATEST; it may have numbered ones."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._latest: dict[str, Version] = {}
        self._served: dict[str, _Served] = {}

    def put(self, version: Version) -> Version | None:
        """Serve this version from now on; gives the one that it replaces."""
        name = version.function.name
        served = self._served.setdefault(name, _Served())
        replaced = served.versions.get(version.number)
        served.versions[version.number] = version
        served.faults.pop(version.number, None)
        if version.number == LATEST:
            self._latest[name] = version
        return replaced

    def fail(self, name: str, number: str, why: str) -> None:
        """There is such a version, and it cannot be served until it is put again."""
        self._served.setdefault(name, _Served()).faults[number] = why

    def fault(self, name: str, number: str) -> str:
        """Why a version cannot be served; empty when it can."""
        served = self._served.get(name)
        return served.faults.get(number, "") if served else ""

    def faults(self, name: str) -> Mapping[str, str]:
        """Why versions of a function cannot be served, by their numbers."""
        served = self._served.get(name)
        return served.faults if served else {}

    def drop(self, name: str, number: str) -> Version | None:
        """Serve a numbered version no more; gives it, if it was served."""
        served = self._served[name]
        served.faults.pop(number, None)
        return served.versions.pop(number, None)

    def point(self, name: str, alias: str, pointer: Pointer) -> None:
        """From the next call on an alias means this."""
        self._served[name].aliases[alias] = pointer

    def unpoint(self, name: str, alias: str) -> None:
        """An alias means nothing any more."""
        self._served[name].aliases.pop(alias, None)

    def forget(self, name: str) -> list[Version]:
        """Serve nothing of a function any more; gives the versions it had."""
        self._latest.pop(name, None)
        served = self._served.pop(name, None)
        return list(served.versions.values()) if served else []

    def resolve(self, name: str, qualifier: str = "") -> Version:
        """Raises FunctionNotFound, and FunctionFailed for what is there and cannot be served."""
        if not qualifier or qualifier == LATEST:
            version = self._latest.get(name)
            if version is None:
                self._missing(name, LATEST, LATEST)
            return version
        served = self._served.get(name)
        pointer = served.aliases.get(qualifier) if served else None
        number = self._number(pointer) if pointer is not None else qualifier
        version = served.versions.get(number) if served else None
        if version is None:
            self._missing(name, qualifier, number)
        return version

    def knows(self, name: str) -> bool:
        """Whether there is such a function, served or failed."""
        return name in self._latest or bool(self.fault(name, LATEST))

    def failed(self) -> list[str]:
        """The functions whose $LATEST cannot be served."""
        return [name for name, served in self._served.items() if LATEST in served.faults]

    def meant(self, name: str, qualifier: str = "") -> list[Version]:
        """Whatever it may mean: two versions where an alias shares its calls.

        Raises FunctionNotFound, FunctionFailed.
        """
        served = self._served.get(name)
        pointer = served.aliases.get(qualifier) if served else None
        if served is None or pointer is None:
            return [self.resolve(name, qualifier)]
        numbers = (pointer.number, pointer.other)
        found = [served.versions[number] for number in numbers if number in served.versions]
        return found or [self.resolve(name, qualifier)]

    def latest(self, name: str) -> Version | None:
        return self._latest.get(name)

    def all(self) -> list[Version]:
        """The functions, as their $LATEST."""
        return [self._latest[name] for name in sorted(self._latest)]

    def versions(self, name: str) -> Mapping[str, Version]:
        """Those of a function, by their numbers."""
        served = self._served.get(name)
        return served.versions if served else {}

    def everything(self) -> list[Version]:
        """All versions of all functions."""
        return [each for served in self._served.values() for each in served.versions.values()]

    def _number(self, pointer: Pointer) -> str:
        if pointer.other and self._chance() < pointer.share:
            return pointer.other
        return pointer.number

    def _missing(self, name: str, qualifier: str, number: str) -> NoReturn:
        if why := self.fault(name, number):
            raise FunctionFailed(name, qualifier, why)
        raise FunctionNotFound(name, qualifier)
