"""microfaas's own small API: what is served, and whether all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from microfaas.control.registry import Registry
from microfaas.gateway.invocations_api import InvocationsApi, Operation
from microfaas.gateway.reply import Reply, as_json
from microfaas.model import LATEST, Version, VersionKey
from microfaas.pool.pool import Pool
from microfaas.pool.supervisor import Supervisor
from microfaas.store.functions import Functions

_NO_PROCESSES: Mapping[str, object] = MappingProxyType({"zygote_pid": None, "instances": []})


class ControlApi:
    """Reads, and makes replies of what it finds. What is about events is in a table of its own."""

    invocations: InvocationsApi | None = None
    _more: Sequence[Operation] = ()

    def __init__(
        self,
        functions: Functions,
        supervisor: Supervisor,
        registry: Registry,
        invocations: InvocationsApi,
        more: Sequence[Operation] = (),
    ) -> None:
        """`more` are rows that others answer."""
        self._functions = functions
        self._supervisor = supervisor
        self._registry = registry
        self.invocations = invocations
        self._more = more

    @property
    def operations(self) -> Sequence[Operation]:
        """The table's rows."""
        rows = self.invocations.operations if self.invocations is not None else ()
        return (*rows, *self._more)

    def close(self) -> None:
        """Let nobody wait any more."""
        if self.invocations is not None:
            self.invocations.close()

    def health(self, request_id: str) -> Reply:
        return as_json({"status": "ok"}, request_id)

    def functions(self, request_id: str) -> Reply:
        """Each function with its settings, its zygote and its instances; also those that have
        failed, with the reason."""
        pools = {pool.version.key: pool for pool in self._supervisor.pools}
        rows = [self._served(version, pools) for version in self._functions.all()]
        there = {row["name"] for row in rows}
        rows += [self._failed(name) for name in self._functions.failed() if name not in there]
        rows.sort(key=lambda row: str(row["name"]))
        return as_json({"functions": rows}, request_id)

    def _served(self, version: Version, pools: Mapping[VersionKey, Pool]) -> dict[str, object]:
        function, limits = version.function, version.function.limits
        pool = pools.get(version.key)
        return {
            **self._known(function.name, "active"),
            "description": function.description,
            "runtime": function.runtime,
            "handler": function.handler,
            "code_sha256": version.code_sha256,
            "memory_mb": limits.memory_mb,
            "timeout_s": limits.timeout_s,
            "concurrency_max": limits.concurrency_max,
            **(_processes(pool) if pool else _NO_PROCESSES),
        }

    def _failed(self, name: str) -> dict[str, object]:
        edition = self._registry.latest(name)
        settings = edition.settings
        return {
            **self._known(name, "failed"),
            "description": settings.description,
            "runtime": settings.runtime,
            "handler": settings.handler,
            "code_sha256": edition.package.code_sha256,
            "memory_mb": settings.memory_mb,
            "timeout_s": settings.timeout_s,
            "concurrency_max": 0,
            **_NO_PROCESSES,
        }

    def _known(self, name: str, state: str) -> dict[str, object]:
        faults = self._functions.faults(name)
        return {
            "name": name,
            "arn": self._registry.arn(name),
            "origin": self._registry.origin(name),
            "state": state,
            "reason": faults.get(LATEST, ""),
            "failed_versions": {each: why for each, why in faults.items() if each != LATEST},
        }


def _processes(pool: Pool) -> dict[str, object]:
    states = [("idle", instance) for instance in pool.idle]
    states += [("busy", instance) for instance in pool.busy]
    return {
        "zygote_pid": pool.source.pid or None if pool.source else None,
        "waiting": pool.waiting,
        "starting": pool.starting,
        "instances": [
            {"id": instance.name, "pid": instance.sandbox.pid, "state": state}
            for state, instance in states
        ],
    }
