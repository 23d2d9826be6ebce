"""Takes the messages of one queue, in order and as many at once as it may.

Theory of operation. A window of the queue is kept in memory, bounded in number and bytes. What is
put while the window holds all there is goes into it straight after its commit; else the window is
filled from disk when it runs low. What had to wait (for a retry, or delayed) is read when it is
due; `_held` has those of them that are in the window, and all that is at work, since nothing on
disk tells. What was left out for that, and put off meanwhile, is looked for when it is released.
Of everything that waits for a time one of two things is true: the timer goes off then or sooner,
or `_late` says that it has to be looked for.

Nothing is leased on disk: this process is the only one that takes, and what was at work when it
dies is simply there again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from microfaas.errors import MachineError
from microfaas.store.messages import Batch, Message, MessageStore

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
        # Whether there may be more on disk: behind the cursor, and of what is due.
        self._more = True
        self._late = True
        self._held: set[int] = set()
        self._left_out = False
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
        self._top_up()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        self._store.unlisten(self.queue)
        self._window.clear()
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()

    def resize(self, workers_max: int) -> None:
        """Have so many workers from now on; who is at work is not disturbed."""
        self._workers_max = workers_max
        self._spawn()

    def drop(self, message: Message) -> None:
        """One that was removed by somebody else is not to be taken any more."""
        for waiting in self._window:
            if waiting.id == message.id:
                self._window.remove(waiting)
                self._bytes -= waiting.size
                self._held.discard(waiting.id)
                return

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

    def _top_up(self) -> None:
        """Read more when the window runs low, and have it worked at."""
        low = len(self._window) <= WINDOW_MESSAGES // 4 and self._bytes <= WINDOW_BYTES // 4
        if low and (self._more or self._late):
            self._fill()
        self._spawn()

    def _fill(self) -> None:
        """Read what the window has room for: first what has waited already."""
        # Asked for first: what becomes due from here on is found in one of the two ways, or both.
        next_ms = self._store.next_due_ms(self.queue)
        if self._late:
            self._left_out = bool(self._held)
            due, self._late = self._store.due(
                self.queue,
                WINDOW_MESSAGES - len(self._window),
                WINDOW_BYTES - self._bytes,
                self._held,
            )
            for message in due:
                self._held.add(message.id)
                self._append(message)
        room, room_bytes = WINDOW_MESSAGES - len(self._window), WINDOW_BYTES - self._bytes
        if self._more and room > 0 and room_bytes > 0:
            ready, self._more = self._store.ready(self.queue, self._cursor, room, room_bytes)
            for message in ready:
                self._cursor = message.id
                self._append(message)
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
        self._late = True
        self._top_up()

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
                try:
                    await self._work(message)
                except Exception:
                    # A fault of ours; the other messages must not pay for it.
                    _log.exception("%s: message %s stays for now", self.queue, message.uuid)
                    await self._postpone(message)
                finally:
                    self._release(message)
        finally:
            self._workers -= 1
            if not self._workers:
                self._idle.set()

    def _take(self) -> Message | None:
        if self._stopped or self._workers > self._workers_max:
            return None
        if not self._window:
            self._top_up()
        if not self._window:
            return None
        message = self._window.popleft()
        self._bytes -= message.size
        self._busy += 1
        self._held.add(message.id)
        self._top_up()
        return message

    def _release(self, message: Message) -> None:
        self._busy -= 1
        self._held.discard(message.id)
        if self._left_out:
            self._left_out = False
            self._late = True

    async def _postpone(self, message: Message) -> None:
        """Have a message that is still as it was taken again, after a while."""
        while not self._stopped:
            batch = Batch()
            due_ms = self._store.now_ms() + int(FAULT_DELAY_S * 1000)
            batch.reschedule(message, due_ms, message.attempts)
            try:
                await self._store.commit(batch)
                return
            except MachineError:
                await asyncio.sleep(FAULT_DELAY_S)
