"""The triggers that run; they come and go while the server runs.

Theory of operation. Triggers are put under a name, as many as belong together, and replace those
that ran under it before. The old ones take nothing new and are waited for, so that of a stream no
two batches of one mapping run at once and no message is lost or held by nobody; then the new ones
begin. What is put meanwhile takes the place of what was to begin.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace

from microfaas.config import Trigger
from microfaas.triggers import table
from microfaas.triggers.kind import Surroundings

Work = Callable[[Surroundings], Coroutine[None, None, None]]


@dataclass(slots=True)
class _Running:
    """What runs under a name."""

    stopping: asyncio.Event
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Triggers:
    """Starts them, and stops them without losing what they have begun."""

    def __init__(self, around: Surroundings, drain_s_max: float) -> None:
        self._around = around
        self._drain_s_max = drain_s_max
        self._running: dict[str, _Running] = {}
        # What is to run once what runs has stopped, and who sees to it.
        self._wanted: dict[str, Sequence[Work]] = {}
        self._changes: dict[str, asyncio.Task[None]] = {}
        self._went_well: dict[str, bool] = {}
        # Called when that is another than before, with the name.
        self.listeners: list[Callable[[str], None]] = []
        self._closed = False

    def put(self, name: str, triggers: Sequence[Trigger]) -> None:
        """Have these run under a name, in place of those before.

        They run when this returns if there is nothing to wait for.
        """
        self.put_work(name, [_work(trigger) for trigger in triggers])

    def put_work(self, name: str, work: Sequence[Work]) -> None:
        """As `put`, for what is no function's trigger. Once all are stopped, nothing begins."""
        if self._closed:
            return
        if name not in self._running and name not in self._changes:
            self._begin(name, work)
            return
        self._wanted[name] = work
        if name not in self._changes:
            loop = asyncio.get_running_loop()
            self._changes[name] = loop.create_task(self._change(name), name=name)

    def runs(self, name: str) -> bool:
        """Whether anything does under that name."""
        return name in self._running

    def changing(self, name: str) -> bool:
        """Whether something else is to run under that name than does."""
        return name in self._changes

    def went_well(self, name: str) -> bool | None:
        """How the function's last call ended; None when there was none in this run."""
        return self._went_well.get(name)

    def forget(self, name: str) -> None:
        """Nothing runs under that name, nor will."""
        self._went_well.pop(name, None)

    async def settled(self, name: str) -> None:
        """Wait until what was put under that name is what runs."""
        while name in self._changes:
            await asyncio.wait([self._changes[name]])

    async def close(self) -> None:
        """Stop all of them; what takes too long is broken off, and comes again after a start."""
        self._closed = True
        self._wanted.clear()
        for running in self._running.values():
            running.stopping.set()
        tasks = [task for each in self._running.values() for task in each.tasks]
        tasks += self._changes.values()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._drain_s_max)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, name: str, work: Sequence[Work]) -> None:
        if not work:
            return
        running = self._running[name] = _Running(asyncio.Event())
        report = functools.partial(self._report, name)
        around = replace(self._around, stopping=running.stopping, report=report)
        loop = asyncio.get_running_loop()
        running.tasks = [loop.create_task(each(around), name=name) for each in work]

    def _report(self, name: str, well: bool) -> None:
        if self._went_well.get(name) is not well:
            self._went_well[name] = well
            for tell in self.listeners:
                tell(name)

    async def _change(self, name: str) -> None:
        try:
            while name in self._wanted:
                if (running := self._running.get(name)) is not None:
                    running.stopping.set()
                    await asyncio.wait(running.tasks)
                    del self._running[name]
                # Closing takes back what was wanted.
                if (work := self._wanted.pop(name, None)) is not None:
                    self._begin(name, work)
        finally:
            del self._changes[name]


def _work(trigger: Trigger) -> Work:
    return lambda around: table.run(trigger, around)
