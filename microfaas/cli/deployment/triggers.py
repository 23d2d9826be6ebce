"""What fires functions at a gateway: checked before anything is changed, and put all at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from microfaas.cli.deployment.changes import Change, Changes
from microfaas.cli.deployment.wanted import Wanted
from microfaas.config import Config


class Triggers:
    """Those of the functions that are to be deployed. To be made first: what of them differs from
    what is there is looked at then. Raises ClientError."""

    def __init__(self, changes: Changes, all_wanted: Iterable[Wanted]) -> None:
        self._changes = changes
        self._wanted: dict[str, Wanted] = {}
        self._notes: list[Change] = []
        for each in all_wanted:
            there = self._there(each.name)
            if each.triggers != there:
                kinds = ", ".join(dict.fromkeys(table["type"] for table in each.triggers))
                did = "changed" if there else "created"
                self._notes.append(Change("triggers", each.name, did, kinds or "none"))
                self._wanted[each.name] = each

    def check(self, config: Config | None) -> None:
        """Whether the gateway will take them, once there are the functions, and the queues, streams
        and topics of `config` if that is deployed, too. Raises ClientError."""
        if not self._wanted:
            return
        to_come: dict[str, Any] = {
            "functions": {name: each.settings["Timeout"] for name, each in self._wanted.items()}
        }
        if config is not None:
            queues = config.queues.items()
            to_come["queues"] = {name: table.visibility_timeout_s for name, table in queues}
            to_come |= {"streams": [*config.streams], "topics": [*config.topics]}
        self._changes.client.check_triggers(self._tables(), **to_come)

    def put(self) -> None:
        """Have them fire the functions. Raises ClientError."""
        if self._wanted:
            tables = self._tables()
            self._changes.make_all(self._notes, lambda: self._changes.client.put_triggers(tables))

    def _tables(self) -> dict[str, list[dict[str, Any]]]:
        return {name: each.triggers for name, each in self._wanted.items()}

    def _there(self, function: str) -> list[dict[str, Any]]:
        return self._changes.found(lambda: self._changes.client.triggers(function)) or []
