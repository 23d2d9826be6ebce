"""The pool of one version: its instances, where they come from, and who waits for one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from microfaas.errors import MachineError, MicrofaasError, TooManyRequests
from microfaas.model import Version
from microfaas.pool import plan
from microfaas.pool.faults import Faults
from microfaas.pool.instance import Instance
from microfaas.pool.line import Line
from microfaas.pool.loading import InitFailed
from microfaas.pool.quota import Quota
from microfaas.pool.reaper import Reaper
from microfaas.pool.shelf import Shelf
from microfaas.pool.site import Site
from microfaas.pool.sources import Source, start_source

# How long after an instance was taken the reserve is filled up again.
RESERVE_S = 0.003

_log = logging.getLogger("microfaas.pool")


class Pool:
    """Gives out instances one by one, and takes them back."""

    def __init__(
        self,
        site: Site,
        version: Version,
        tasks: asyncio.TaskGroup,
        reaper: Reaper,
        shelf: Shelf,
        affordable: Callable[[Pool], int],
        quota: Quota | None = None,
    ) -> None:
        """Without a quota it has one to itself, as large as the version's concurrency."""
        self.version = version
        self.draining = False
        self.last_used = float("-inf")
        self._last_called = float("-inf")
        self.idle: list[Instance] = []
        self.busy: set[Instance] = set()
        self.starting = 0
        # So many instances are kept, whether anybody uses them or not; how many of those are being
        # started; and why one did not start.
        self.provisioned = 0
        self._starting_kept = 0
        self.faults = Faults()
        self.source: Source | None = None
        self._site = site
        self._tasks = tasks
        self._reaper = reaper
        self._shelf = shelf
        self._forks = site.runtime(version).forks
        self._affordable = affordable
        limits = version.function.limits
        self._quota = quota or Quota(limits.concurrency_max, limits.waiting_max)
        self._waiting = Line()
        self._source_lock = asyncio.Lock()
        self._stepping = False
        self._mounted: list[tuple[int, int] | None] = []

    @property
    def limit_mb(self) -> int:
        return self.version.function.limits.memory_mb

    @property
    def size(self) -> int:
        return len(self.idle) + len(self.busy) + self.starting

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_called(self) -> bool:
        """Whether anybody calls it, or has within the time that an idle instance is kept."""
        lately = time.monotonic() - self.version.function.limits.idle_s_max
        return bool(self.busy or self._waiting) or self._last_called > lately

    @property
    def was_called(self) -> bool:
        """Whether anybody ever has called it."""
        return bool(self.busy or self._waiting) or self._last_called > float("-inf")

    @property
    def _kept(self) -> int:
        """How many instances are there for good."""
        return 0 if self.draining else self.provisioned

    def memory_mb(self) -> int:
        """What it may take now: running instances their limit, idle ones what they ever took."""
        running = (len(self.busy) + self.starting) * self.limit_mb
        idle = sum(instance.sandbox.own_peak_mb() for instance in self.idle)
        return running + idle + (self.source.memory_mb if self.source else 0)

    async def warm(self) -> None:
        """Have the function loaded, and what should be ready ahead.

        In a zygote, where the language forks; else in an instance, which then is the first.
        Raises InitFailed or MachineError.
        """
        await self._living_source()
        self.last_used = time.monotonic()
        if not (self._forks or self.size) and self._affordable(self):
            kept = self._begin()
            try:
                self._place(await self._spawn(kept), used=False)
            except (InitFailed, MicrofaasError, OSError) as error:
                self._waiting.refuse(error)
                raise
            finally:
                self._begun(kept)
        self.step()

    def lease_now(self) -> Instance | None:
        """An idle instance, if there is one and the function may run once more."""
        while self.idle and self._quota.free > 0:
            instance = self.idle.pop()
            if instance.alive:
                self.busy.add(instance)
                self._quota.take()
                self.last_used = instance.idle_since
                if not self.idle:
                    self._step_soon()
                return instance
            self._reaper.end(instance)
        return None

    async def lease(self) -> Instance:
        """An instance, now or when one is free.

        Raises TooManyRequests, InitFailed for the function, MachineError for the rest.
        """
        limits = self.version.function.limits
        self.last_used = time.monotonic()
        instance = self.lease_now()
        if instance is not None:
            return instance
        if not self._quota.limit:
            raise TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded")
        waiting_max = self._quota.waiting_max
        if len(self._waiting) >= waiting_max:
            reason = plan.refusal(self._view(), waiting_max)
            if reason is not None:
                raise TooManyRequests(reason)
        waiter = self._waiting.join(self.last_used + limits.waiting_s_max)
        self.step()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiting.leave(waiter)
            # An instance that came in the same moment goes back.
            if not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise

    def release(self, instance: Instance) -> None:
        """Take back an instance after its invocation."""
        if instance not in self.busy:
            return  # the pool has ended meanwhile, and the instance with it
        self.busy.remove(instance)
        self._quota.give_back()
        instance.idle_since = self.last_used = self._last_called = time.monotonic()
        over = self.version.function.isolation == "request" or not instance.alive
        if over or (self.provisioned and self._is_over(instance)):
            self._reaper.end(instance)
        else:
            self._place(instance)
        self._quota.tell()
        if self._waiting or not self.idle:
            self._step_soon()

    def _step_soon(self) -> None:
        """Look to the reserve a little later, when the call that took from it is under way.

        A fork takes the processor and the kernel's locks from whoever runs at the same time.
        """
        if not self._stepping:
            self._stepping = True
            asyncio.get_running_loop().call_later(RESERVE_S, self._step_now)

    def _step_now(self) -> None:
        self._stepping = False
        self.step()

    def step(self) -> None:
        """Serve who waits as far as there is room, and start what the plan says."""
        self._serve()
        if self.size >= self._quota.limit:
            return  # the common case under load: spare the plan
        self._follow(self._view())

    def busy_since(self, before: float) -> int:
        """How many instances run calls, or have since that time."""
        lately = (each for each in self.idle if each.has_run and each.idle_since >= before)
        return len(self.busy) + sum(1 for _ in lately)

    def prepare(self, count: int) -> list[asyncio.Task[None]]:
        """Have so many instances of what is loaded, as far as they fit; what starts them."""
        loaded = self.size or (self._forks and self.source is not None)
        if not loaded or count <= self.size:
            return []  # what cannot be loaded is not tried so often
        ahead = count - len(self.busy)
        return self._follow(replace(self._view(), ready_ahead=ahead, in_use=True))

    def provide(self, count: int) -> None:
        """Keep so many from now on; others make room for them, and the rest of them is over."""
        self.provisioned = count
        self.faults.clear()
        for instance in list(self.idle):
            self.idle.remove(instance)
            if self._is_over(instance):
                self._reaper.end(instance)
            else:
                self.idle.append(instance)
        self.step()

    def provided(self) -> tuple[int, int]:
        """Of what is provisioned: how many there are, with those being started; how many ready."""
        ready = sum(each.provisioned for each in (*self.idle, *self.busy))
        return ready + self._starting_kept, ready

    def freeze(self, before: float) -> None:
        """Stop what instances idle since before that time do in the background."""
        for instance in self.idle:
            if instance.idle_since < before and not instance.sandbox.frozen:
                instance.sandbox.freeze()

    def retire(self, before: float) -> None:
        """End instances idle since before that time; and the zygote, if nothing has used it."""
        for instance in list(self.idle):
            unused = instance.idle_since < before and not (instance.provisioned and self._kept)
            if unused or not instance.alive:
                self.idle.remove(instance)
                self._reaper.end(instance)
        empty = not (self.size or self._waiting)
        if empty and self.last_used < before:
            self._end_source()

    def renew(self) -> None:
        """Start afresh when a mounted directory was removed and made again: what runs sees the
        old one for ever."""
        if self.source is None or self.busy or self.starting:
            return
        if self._site.mounted(self.version) != self._mounted:
            self.retire(float("inf"))
            self._end_source()

    def expire(self, now: float) -> None:
        """Refuse those who have waited too long."""
        self._waiting.expire(now)

    def drain(self) -> None:
        """Serve who is here, take no reserves, then empty out."""
        self.draining = True
        self.retire(float("inf"))

    @property
    def drained(self) -> bool:
        # A source that is being started would be nobody's once the pool is forgotten.
        starting = self.starting or self._source_lock.locked()
        return self.draining and not (self.busy or starting or self._waiting)

    def end(self) -> None:
        """End everything now; who runs or waits hears of it."""
        self.draining = True
        for instance in [*self.idle, *self.busy]:
            self._reaper.end(instance)
        self.idle.clear()
        self._quota.give_back(len(self.busy))
        self.busy.clear()
        self._quota.tell()
        self._end_source()

    def _view(self) -> plan.View:
        limits = self.version.function.limits
        used_after = time.monotonic() - limits.idle_s_max
        return plan.View(
            idle=len(self.idle),
            busy=len(self.busy),
            starting=self.starting,
            waiting=len(self._waiting),
            in_use=not self.draining and self.last_used > used_after,
            concurrency_max=self._quota.free + len(self.busy),
            lacking=self._lacking() if self.faults.are_over else 0,
            ready_ahead=int(self._forks) if limits.ready_ahead is None else limits.ready_ahead,
            affordable=self._affordable(self),
        )

    def _follow(self, view: plan.View) -> list[asyncio.Task[None]]:
        """Start what the plan says."""
        return [
            self._tasks.create_task(self._start(self._begin())) for _ in range(plan.starts(view))
        ]

    def _lacking(self) -> int:
        """How many provisioned instances there are too few; below 0 too many."""
        return self._kept - self.provided()[0] if self._kept else 0

    def _is_over(self, instance: Instance) -> bool:
        """Whether one that is neither idle nor busy is one too many, or takes the place of one
        that is to be provisioned."""
        lacking = self._lacking()
        if instance.provisioned:
            return lacking <= 0
        return lacking > 0 and self.size >= self._quota.limit - 1

    def _begin(self) -> bool:
        """One more is being started; whether it is a provisioned one."""
        kept = self._lacking() > 0
        self.starting += 1
        self._starting_kept += kept
        return kept

    def _begun(self, kept: bool) -> None:
        self.starting -= 1
        self._starting_kept -= kept

    async def _start(self, kept: bool) -> None:
        """Start one instance and place it; whatever goes wrong is for those who wait."""
        try:
            instance = await self._spawn(kept)
        except (InitFailed, MicrofaasError) as error:
            self._fail(error)
        except OSError as error:
            self._fail(MachineError(f"cannot start an instance: {error}"))
        else:
            instance.idle_since = time.monotonic()
            self._place(instance, used=False)
        finally:
            self._begun(kept)

    async def _spawn(self, kept: bool) -> Instance:
        source = await self._living_source()
        try:
            return await source.spawn(self._reaper, kept)
        except MachineError:
            if source.alive:
                raise
            # It died under our hands; that is no fault of this invocation.
            return await (await self._living_source()).spawn(self._reaper, kept)

    async def _living_source(self) -> Source:
        async with self._source_lock:
            if self.source is not None and not self.source.alive:
                self._end_source()
            if self.source is None:
                self._affordable(self)  # it makes room, if there is any to make
                self._mounted = self._site.mounted(self.version)
                self.source = await start_source(
                    self._site, self.version, self._reaper, self._shelf, self._tasks
                )
                if self.source.why_not_loaded:
                    name, why = self.version.function.name, self.source.why_not_loaded
                    _log.info("%s: each instance loads the function itself: %s", name, why)
            return self.source

    def _end_source(self) -> None:
        if self.source is not None:
            self._reaper.end(self.source)
            self.source = None

    def _place(self, instance: Instance, *, used: bool = True) -> None:
        """Give an instance to whoever waits longest, or keep it.

        The next call gets the one that was used last: what a handler keeps in memory is there.
        Before all others it gets what is provisioned.
        """
        self.faults.clear()
        first, last = 0, len(self.idle)
        if self.provisioned:
            others = sum(not each.provisioned for each in self.idle)
            first, last = (others, last) if instance.provisioned else (0, others)
        self.idle.insert(last if used else first, instance)
        self._serve()
        if self.draining:
            self.retire(float("inf"))

    def _serve(self) -> None:
        """Give what is idle to those who wait, as far as the function may run."""
        self._waiting.serve(self.lease_now)
        if self._waiting and self._quota.free <= 0:
            self._quota.wait(self, self.step)

    def _fail(self, error: Exception) -> None:
        self.faults.add(error)
        if not self._waiting:
            _log.warning("%s: cannot keep an instance ready: %s", self.version.function.name, error)
        self._waiting.refuse(error)
