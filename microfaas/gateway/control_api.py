"""microfaas's own small API: what is served, and whether all is well."""

from __future__ import annotations

from collections.abc import Sequence

from microfaas.control.registry import Registry
from microfaas.gateway.invocations_api import InvocationsApi, Operation
from microfaas.gateway.reply import Reply, as_json
from microfaas.pool.pool import Pool
from microfaas.pool.supervisor import Supervisor
from microfaas.store.functions import Functions


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
        """Each function with its settings, its zygote and its instances."""
        pools = {pool.version.key: pool for pool in self._supervisor.pools}
        rows = []
        for version in self._functions.all():
            function, limits = version.function, version.function.limits
            pool = pools.get(version.key)
            rows.append(
                {
                    "name": function.name,
                    "description": function.description,
                    "arn": self._registry.arn(function.name),
                    "origin": self._registry.origin(function.name),
                    "runtime": function.runtime,
                    "handler": function.handler,
                    "code_sha256": version.code_sha256,
                    "memory_mb": limits.memory_mb,
                    "timeout_s": limits.timeout_s,
                    "concurrency_max": limits.concurrency_max,
                    **(_processes(pool) if pool else {"zygote_pid": None, "instances": []}),
                }
            )
        return as_json({"functions": rows}, request_id)


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
