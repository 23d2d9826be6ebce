"""Functions at a gateway: their code, settings and layers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from microfaas.cli.deployment.changes import FUNCTIONS, Change, Changes, differing, path_of
from microfaas.cli.deployment.packing import Package, pack
from microfaas.cli.deployment.wanted import Wanted
from microfaas.errors import MicrofaasError

SETTLE_S_MAX = 60.0
_POLL_S = 0.1
_LAYERS = "/2018-10-31/layers"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-_]+")


class NotSettled(MicrofaasError):
    """A function's change takes longer than it should."""

    def __init__(self, name: str) -> None:
        super().__init__(f"cannot go on: {name} is still being changed after {SETTLE_S_MAX:g} s")


class Functions:
    """Deploys functions one by one. `exclude` has paths that are no code of any."""

    def __init__(self, changes: Changes, exclude: Collection[str]) -> None:
        self._changes = changes
        self._client = changes.client
        self._exclude = exclude
        # The ARNs of layers that were looked at, by their folders.
        self._layers: dict[str, str] = {}

    def deploy(self, wanted: Wanted) -> None:
        """Code and settings. Raises ClientError, ConfigError and NotSettled."""
        package = pack(wanted.code, self._exclude)
        settings = {**wanted.settings, "Layers": [self._layer(path) for path in wanted.layers]}
        there = self._changes.look(path_of(wanted.name, "configuration"))
        if there is None:
            self._create(wanted, package, settings)
        else:
            self._update(wanted.name, package, settings, there)
        self._reserve(wanted)
        self._let_loop(wanted)

    def _create(self, wanted: Wanted, package: Package, settings: dict[str, Any]) -> None:
        code = {"FunctionName": wanted.name, "Code": {"ZipFile": package.data}}
        told = {**wanted.born, **settings, **code}
        self._changes.make(
            Change("function", wanted.name, "created"),
            lambda: self._client.rest("POST", FUNCTIONS, told),
        )

    def _update(
        self, name: str, package: Package, settings: dict[str, Any], there: dict[str, Any]
    ) -> None:
        if there["CodeSha256"] != package.sha256:
            self._change(name, "code", {"ZipFile": package.data}, "code")
        changed = differing(settings, _comparable(there, settings))
        if changed:
            self._change(name, "configuration", changed, ", ".join(changed))

    def _change(self, name: str, part: str, told: dict[str, Any], what: str) -> None:
        def change() -> None:
            self._settle(name)
            self._client.rest("PUT", path_of(name, part), told)
            self._settle(name)

        self._changes.make(Change("function", name, "changed", what), change)

    def _settle(self, name: str) -> None:
        """Wait until the last change is served: another one would be refused before."""
        deadline = time.monotonic() + SETTLE_S_MAX
        while time.monotonic() < deadline:
            there = self._client.rest("GET", path_of(name, "configuration"))
            if there.get("LastUpdateStatus") != "InProgress":
                return
            time.sleep(_POLL_S)
        raise NotSettled(name)

    def _reserve(self, wanted: Wanted) -> None:
        """How many may run at once."""
        if wanted.concurrency is None:
            return
        told = {"ReservedConcurrentExecutions": wanted.concurrency}
        there = self._changes.look(path_of(wanted.name, "concurrency", version="2019-09-30"))
        if (there or {}) != told:
            path = path_of(wanted.name, "concurrency", version="2017-10-31")
            self._changes.make(
                Change("concurrency", wanted.name, "changed", str(wanted.concurrency)),
                lambda: self._client.rest("PUT", path, told),
            )

    def _let_loop(self, wanted: Wanted) -> None:
        """Whether one chain of events may come back to it without end."""
        if not wanted.recursive_loop:
            return
        told = {"RecursiveLoop": wanted.recursive_loop}
        path = path_of(wanted.name, "recursion-config", version="2024-08-31")
        if self._changes.look(path) != told:
            self._changes.make(
                Change("recursive loop", wanted.name, "changed", wanted.recursive_loop),
                lambda: self._client.rest("PUT", path, told),
            )

    def _layer(self, path: str) -> str:
        """The ARN of a layer with that content; its newest version, or a new one."""
        if path not in self._layers:
            self._layers[path] = self._publish_layer(path)
        return self._layers[path]

    def _publish_layer(self, path: str) -> str:
        name = _NOT_IN_NAMES.sub("-", os.path.basename(path).removesuffix(".zip"))
        package = pack(path, self._exclude)
        versions = f"{_LAYERS}/{quote(name, safe='')}/versions"
        known = (self._changes.look(f"{versions}?MaxItems=1") or {}).get("LayerVersions", [])
        for row in known:
            there = self._client.rest("GET", f"{versions}/{row['Version']}")
            if there["Content"]["CodeSha256"] == package.sha256:
                return str(row["LayerVersionArn"])
        arns = [""]

        def publish() -> None:
            made = self._client.rest("POST", versions, {"Content": {"ZipFile": package.data}})
            arns.append(str(made["LayerVersionArn"]))

        self._changes.make(Change("layer", name, "published"), publish)
        return arns[-1]


def _comparable(there: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What GetFunctionConfiguration tells, as the parameters are that would make it so."""
    made = {
        **there,
        "Description": there.get("Description", ""),
        "Environment": {"Variables": there.get("Environment", {}).get("Variables", {})},
        "Layers": [row["Arn"] for row in there.get("Layers", [])],
        "DeadLetterConfig": {"TargetArn": there.get("DeadLetterConfig", {}).get("TargetArn", "")},
    }
    for key, value in settings.items():
        told = made.get(key)
        if isinstance(value, dict) and isinstance(told, dict) and key != "Environment":
            # More is told than was asked for, such as what came of it.
            made[key] = {inner: told[inner] for inner in value if inner in told}
    return made
