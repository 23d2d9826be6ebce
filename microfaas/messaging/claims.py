"""Who is just changing which messages: nobody decides about one while it is being written.

A message is read, something is decided about it, and it is written; meanwhile others must neither
receive nor remove it. A claim lasts until the commit is done, even when whoever wanted it has gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any

from microfaas.errors import QueueFull
from microfaas.store.messages import Batch, Message, MessageStore

# What is to be committed about what has been claimed.
Decide = Callable[[], Batch]
Then = Callable[[], None]


def _nothing() -> None:
    """Where nobody waits for what was claimed."""


class Claims:
    """Of message ids and deduplication ids."""

    def __init__(self, store: MessageStore, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._tasks = tasks
        self._held: set[Hashable] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def take(self, keys: Collection[Hashable]) -> None:
        """Nobody else has any of them."""
        self._held.update(keys)

    async def change(
        self, keys: Collection[Hashable], decide: Decide, then: Then = _nothing
    ) -> list[Message]:
        """Claim these as soon as nobody else has any of them, decide, and commit that; `then`
        they may be claimed again.

        Raises what `decide` does, QueueFull, MachineError.
        """
        return await self._finish(self._change(keys, decide, then))

    async def commit(
        self,
        keys: Collection[Hashable],
        decide: Decide,
        then: Then = _nothing,
        when_full: Decide | None = None,
    ) -> list[Message]:
        """As `change`, of what has been taken already. `when_full` decides what to do instead
        where there is no room."""
        return await self._finish(self._commit(keys, decide, then, when_full))

    async def _finish(self, doing: Coroutine[Any, Any, list[Message] | Exception]) -> list[Message]:
        result = await asyncio.shield(self._tasks.create_task(doing))
        if isinstance(result, Exception):
            raise result
        return result

    async def _change(
        self, keys: Collection[Hashable], decide: Decide, then: Then
    ) -> list[Message] | Exception:
        # All at once: so no two wait for each other.
        while not self._held.isdisjoint(keys):
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self.take(keys)
        return await self._commit(keys, decide, then)

    async def _commit(
        self,
        keys: Collection[Hashable],
        decide: Decide,
        then: Then,
        when_full: Decide | None = None,
    ) -> list[Message] | Exception:
        # The error is a value, for it must not end the group.
        try:
            try:
                return await self._store.commit(decide())
            except QueueFull:
                if when_full is None:
                    raise
                return await self._store.commit(when_full())
        except Exception as error:
            return error
        finally:
            self._release(keys)
            then()

    def _release(self, keys: Collection[Hashable]) -> None:
        self._held.difference_update(keys)
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_result(None)
