"""The registry: every function there is, whether a file or the API has made it, and what is known
of it. Here it is looked up; what changes it is in `lifecycle` and in who owns the other tables."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Collection, Iterator
from typing import Any, Literal, NoReturn

from microfaas.control.making import events, settings_of
from microfaas.control.records import (
    Alias,
    Edition,
    Head,
    InvokeConfig,
    Package,
    Policy,
    Provisioned,
    RuntimeManagement,
    Touched,
    Url,
)
from microfaas.control.table import Edit, Table, commit
from microfaas.errors import ServiceError
from microfaas.model import LATEST, Address, EventSettings, Version, qualified
from microfaas.store import tree
from microfaas.store.functions import Functions
from microfaas.store.resources import Resources

Origin = Literal["file", "api"]


def key(name: str, qualifier: str = "") -> str:
    """What a record of a function, or of one of its versions or aliases, stands under."""
    return qualified(name, qualifier)


class Registry:
    """The tables, and the questions that several services ask of them."""

    def __init__(self, resources: Resources, served: Functions, address: Address) -> None:
        self.resources = resources
        self.served = served
        self.address = address
        self.functions = Table(resources, "function", Head, _head_bytes)
        self.versions = Table(resources, "version", Edition, lambda edition: edition.package.size)
        self.aliases = Table(resources, "alias", Alias)
        self.invoke_configs = Table(resources, "invoke-config", InvokeConfig)
        self.provisioned = Table(resources, "provisioned", Provisioned)
        self.urls = Table(resources, "url", Url)
        self.policies = Table(resources, "policy", Policy)
        self.managed = Table(resources, "runtime-management", RuntimeManagement)
        self.touched = Table(resources, "touched", Touched)
        # What is served of a file's functions, as an edition: by the version's key.
        self._shown: dict[str, tuple[Version, Edition]] = {}

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        self.functions.open()
        for table in self._of_qualifiers():
            table.open()

    async def commit(self, *edits: Edit) -> None:
        """Write all of it or nothing; then it is seen. Raises MachineError."""
        await commit(self.resources, edits)

    def arn(self, name: str, qualifier: str = "") -> str:
        return self.address.arn(key(name, qualifier))

    def names(self) -> list[str]:
        """All functions, in their order."""
        made = {name for name, head in self.functions.all() if head.latest is not None}
        return sorted(made | {version.function.name for version in self.served.all()})

    def origin(self, name: str) -> Origin:
        """Who says what the function is."""
        head = self.functions.get(name)
        return "file" if head is None or head.latest is None else "api"

    def knows(self, name: str) -> bool:
        return self.origin(name) == "api" or self.served.latest(name) is not None

    def head(self, name: str) -> Head:
        """What is kept under its name alone. Raises ServiceError when there is no such function."""
        if not self.knows(name):
            self.not_found(name)
        return self.functions.get(name) or Head()

    def latest(self, name: str) -> Edition:
        """What its $LATEST is. Raises ServiceError when there is no such function."""
        head = self.head(name)
        if head.latest is not None:
            return head.latest
        version = self.served.resolve(name)
        shown = self._shown.get(name)
        if shown is None or shown[0] is not version:
            shown = self._shown[name] = version, _edition_of(version, self.address)
        return shown[1]

    def edition(self, name: str, qualifier: str = "") -> tuple[Edition, str]:
        """What a qualifier means, and that version's number. Raises ServiceError."""
        if qualifier in ("", LATEST):
            return self.latest(name), LATEST
        self.head(name)
        alias = self.aliases.get(key(name, qualifier))
        number = alias.version if alias is not None else qualifier
        if number == LATEST:
            return self.latest(name), LATEST
        found = self.versions.get(key(name, number))
        if found is None:
            self.not_found(name, qualifier)
        return found, number

    def alias(self, name: str, alias: str) -> Alias | None:
        return self.aliases.get(key(name, alias))

    def exists(self, name: str, qualifier: str = "") -> bool:
        """Whether there is such a function, and such a version or alias of it."""
        if not self.knows(name):
            return False
        qualified = key(name, qualifier)
        return qualifier in ("", LATEST) or qualified in self.aliases or qualified in self.versions

    def event_settings(self, name: str, qualifier: str = "") -> EventSettings:
        """How events of a function, or of a version or alias of it, are seen through."""
        version = self.served.latest(name)
        usual = version.function.events if version is not None else EventSettings()
        head = self.functions.get(name)
        settings = head.latest.settings if head is not None and head.latest is not None else None
        config = self.invoke_configs.get(key(name, qualifier or LATEST))
        return events(usual, settings.dead_letter if settings else "", config)

    def allows_loops(self, name: str) -> bool:
        """Whether one chain of events may come back to a function without end."""
        head, version = self.functions.get(name), self.served.latest(name)
        if head is not None and head.recursion:
            return head.recursion == "Allow"
        return version is not None and version.function.recursive_loop == "allow"

    def numbers(self, name: str) -> list[str]:
        """Its published versions, the oldest first."""
        keys = [qualified for qualified, _ in self.versions.all(f"{name}:")]
        return sorted((each.partition(":")[2] for each in keys), key=int)

    def not_found(self, name: str, qualifier: str = "") -> NoReturn:
        """Raises ServiceError as AWS has it for a function that is not there."""
        text = f"Function not found: {self.arn(name, qualifier)}"
        raise ServiceError("ResourceNotFoundException", text)

    def forgotten(self, name: str) -> list[Edit]:
        """Nothing is kept of a function any more."""
        edits = [self.functions.remove(name)]
        for table in self._of_qualifiers():
            edits += [table.remove(name), *table.remove_all(f"{name}:")]
        return edits

    def detached(self, name: str, qualifier: str) -> list[Edit]:
        """Nothing is kept of a version or alias any more but its URL, which waits for another."""
        qualified = key(name, qualifier)
        tables = self._of_qualifiers()
        tables.remove(self.urls)
        return [table.remove(qualified) for table in tables if qualified in table]

    def packages(self) -> Collection[str]:
        """The packages that editions are made of, by their hashes."""
        editions = list(self.editions())
        layers = [layer for e in editions if e.function for layer in e.function.layers]
        return {edition.package.sha256 for edition in editions}.union(layers)

    def editions(self) -> Iterator[Edition]:
        """All that the API has made."""
        for _, head in self.functions.all():
            if head.latest is not None:
                yield head.latest
        for _, edition in self.versions.all():
            yield edition

    def _of_qualifiers(self) -> list[Table[Any]]:
        return [
            self.versions,
            self.aliases,
            self.invoke_configs,
            self.provisioned,
            self.urls,
            self.policies,
            self.managed,
            self.touched,
        ]


def _head_bytes(head: Head) -> int:
    return head.latest.package.size if head.latest is not None else 0


def _edition_of(version: Version, address: Address) -> Edition:
    """A version that a file has made, as the API shows it."""
    sizes = (entry.status for entry in tree.walk(version.code_dir))
    size = sum(each.st_size for each in sizes if stat.S_ISREG(each.st_mode))
    made_ms = int(os.stat(version.code_dir).st_mtime * 1000)
    revision = str(uuid.uuid5(uuid.NAMESPACE_OID, repr(version.key)))
    return Edition(
        settings=settings_of(version.function, address.account_id),
        package=Package("", size, version.code_sha256),
        changed_ms=made_ms,
        settles_ms=0,
        revision=revision,
        settled_revision=revision,
        function=version.function,
    )
