"""What all functions together may have, and what they have of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from microfaas.control.registry import Registry
from microfaas.control.storage import Storage

# So much must stay for functions that have reserved nothing, as in Lambda, where there is as much.
UNRESERVED_MIN = 100
_UNRESERVED_SHARE = 10


class Account(NamedTuple):
    """Instances that may run at once, all functions together, by `concurrency`."""

    registry: Registry
    storage: Storage
    concurrency: int

    @property
    def unreserved_min(self) -> int:
        return min(UNRESERVED_MIN, self.concurrency // _UNRESERVED_SHARE)

    def unreserved(self, without: str = "") -> int:
        """What no function has for itself; as if the one of that name had nothing, either."""
        registry = self.registry
        names = {q.partition(":")[0] for q, _ in registry.provisioned.all()}
        names |= {name for name, _ in registry.functions.all()}
        return self.concurrency - sum(map(self._taken, names - {without}))

    def provisioned(self, name: str) -> Mapping[str, int]:
        """Instances by the versions and aliases of a function that they are provisioned for."""
        found = self.registry.provisioned.all(f"{name}:")
        return {qualified.partition(":")[2]: each.instances for qualified, each in found}

    def _taken(self, name: str) -> int:
        """What is reserved has in it what is provisioned."""
        head = self.registry.functions.get(name)
        if head is not None and head.reserved is not None:
            return head.reserved
        return sum(self.provisioned(name).values())
