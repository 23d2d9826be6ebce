"""Takes the messages of one queue, in order and as many at once as it may.

Theory of operation. A window of the queue is kept in memory, bounded in number and bytes. What is
put while the window holds all there is goes into it straight after its commit; else the window is
filled from disk when it runs low. What had to wait (for a retry, or delayed) is read when it is
due; `_held` has those of them that are in the window or at work, since nothing on disk tells.
Nothing is leased on disk: this process is the only one that takes, and what was at work when it
dies is simply there again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from microfaas.store.messages import Message, MessageStore

WINDOW_MESSAGES = 500
WINDOW_BYTES = 4 * 1024 * 1024
# After a fault of ours: the message stays where it is, and is taken again.
FAULT_DELAY_S = 5.0

Work = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("microfaas.dispatch")


class Consumer:
    """One queue's worker tasks. `work` sees one message through: it is removed or rescheduled
    when that returns."""

    def __init__(
        self,
        store: MessageStore,
        queue: str,
        workers_max: int,
        work: Work,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.queue = queue
        self._store = store
        self._workers_max = workers_max
        self._work = work
        self._tasks = tasks
        self._window: deque[Message] = deque()
        self._bytes = 0
        self._cursor = 0
        # Whether there may be more on disk than the window has.
        self._more = True
        self._held: set[int] = set()
        self._skipped = False
        self._workers = 0
        self._busy = 0
        self._stopped = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0

    def start(self) -> None:
        """Begin with what is there."""
        self._store.listen(self.queue, self._told)
        self._fill()
        self._spawn()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        self._store.unlisten(self.queue)
        self._window.clear()
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()

    def has(self, message: Message) -> bool:
        """Whether its turn will come without its being read again."""
        return any(waiting.id == message.id for waiting in self._window)

    async def drained(self) -> None:
        """Wait until nothing is at work."""
        await self._idle.wait()

    def _told(self, ready: Sequence[Message], later: Sequence[int]) -> None:
        for message in ready:
            self._offer(message)
        for due_ms in later:
            self._arm(due_ms)
        self._spawn()

    def _offer(self, message: Message) -> None:
        if self._more or message.id <= self._cursor:
            return  # it will be read, or has been
        if len(self._window) >= WINDOW_MESSAGES or self._bytes >= WINDOW_BYTES:
            self._more = True
            return
        self._cursor = message.id
        self._append(message)

    def _append(self, message: Message) -> None:
        self._window.append(message)
        self._bytes += message.size

    def _fill(self) -> None:
        """Read what the window has room for: first what has waited already."""
        room = WINDOW_MESSAGES - len(self._window)
        due = self._store.due(self.queue, room + len(self._held), WINDOW_BYTES)
        fresh = [message for message in due if message.id not in self._held][:room]
        self._skipped = len(fresh) < len(due)
        for message in fresh:
            self._held.add(message.id)
            self._append(message)
        if self._more and (room := WINDOW_MESSAGES - len(self._window)) > 0:
            messages, self._more = self._store.ready(
                self.queue, self._cursor, room, max(1, WINDOW_BYTES - self._bytes)
            )
            for message in messages:
                self._cursor = message.id
                self._append(message)
        next_ms = self._store.next_due_ms(self.queue)
        if next_ms is not None:
            self._arm(next_ms)

    def _arm(self, due_ms: int) -> None:
        """Look for what is due at that time, or sooner."""
        if self._stopped or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        # A millisecond later it is due for certain.
        delay_s = max(0.0, (due_ms + 1 - self._store.now_ms()) / 1000)
        self._timer_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if len(self._window) < WINDOW_MESSAGES:
            self._fill()
        else:
            self._skipped = True
        self._spawn()

    def _spawn(self) -> None:
        """As many workers as there is work for; each takes until there is none."""
        wanted = min(self._workers_max, self._busy + len(self._window))
        while self._workers < wanted:
            self._workers += 1
            self._idle.clear()
            self._tasks.create_task(self._run())

    async def _run(self) -> None:
        try:
            while (message := self._take()) is not None:
                self._busy += 1
                try:
                    await self._work(message)
                except Exception:
                    # A fault of ours; the other messages must not pay for it.
                    _log.exception("%s: message %s stays for now", self.queue, message.uuid)
                    self._retake(message)
                finally:
                    self._busy -= 1
                    self._release(message)
        finally:
            self._workers -= 1
            if not self._workers:
                self._idle.set()

    def _take(self) -> Message | None:
        if self._stopped:
            return None
        if self._more and len(self._window) <= WINDOW_MESSAGES // 4:
            self._fill()
        if not self._window:
            return None
        message = self._window.popleft()
        self._bytes -= message.size
        return message

    def _release(self, message: Message) -> None:
        if message.due_ms:
            self._held.discard(message.id)
        if self._skipped:
            self._skipped = False
            self._arm(self._store.now_ms())

    def _retake(self, message: Message) -> None:
        """Have a message that is still as it was taken again, after a while."""
        if self._stopped:
            return
        self._held.add(message.id)
        loop = asyncio.get_running_loop()
        loop.call_later(FAULT_DELAY_S, self._again, message)

    def _again(self, message: Message) -> None:
        if not self._stopped:
            self._append(message)
            self._spawn()
