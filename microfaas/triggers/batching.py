"""What a trigger does next with a shard: which batch, and what after its outcome. Pure.

Theory of operation. A lane works at the records of one shard whose keys fall to it, one batch at a
time. `Progress` is what is kept on disk: behind which record it is, and, while a batch is being
tried again, how often it was and where it ends. Halving a batch pushes the end of its first half;
what is done takes the ends it has reached off again. `Extent` is the batch that is being formed,
as numbers: its records are read once it is to be run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from microfaas.model import EVENT_BYTES_MAX
from microfaas.store.streams import Checkpoint

RETRY_DELAY_S = 0.5
RETRY_DELAY_S_MAX = 60.0
# Throttling and machine faults are no attempt: they are waited out.
BUSY_DELAY_S = 0.1
BUSY_DELAY_S_MAX = 15.0
JITTER = 0.2
# A window whose state is larger ends early.
STATE_BYTES_MAX = 1024 * 1024
ENVELOPE_BYTES = 1024
NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """How batches are made and tried; -1 is "without limit"."""

    batch_size: int = 100
    wait_ms: int = 0
    retries_max: int = -1
    age_ms_max: int = -1
    bisect: bool = False
    tumbling_ms: int = 0


class Window(msgspec.Struct, frozen=True, array_like=True):
    """A tumbling window that is open, and what its batches passed on."""

    start_ms: int
    state: bytes = b"{}"

    @property
    def early(self) -> bool:
        """Whether it must end before its time."""
        return len(self.state) > STATE_BYTES_MAX


class Progress(msgspec.Struct, frozen=True):
    """How far a lane has come. `ends`: of the batches that are tried again, the next one last."""

    after: int
    attempts: int = 0
    ends: tuple[int, ...] = ()
    window: Window | None = None
    refusals: int = 0


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """Numbers of streams elsewhere are longer than MessagePack's, and then text."""

    attempts: int = 0
    ends: tuple[int | str, ...] = ()
    window: Window | None = None


def checkpoint(shard: int, lane: int, lanes: int, progress: Progress) -> Checkpoint:
    """As it is kept on disk."""
    ends = tuple(end if end <= NUMBER_MAX else str(end) for end in progress.ends)
    kept = _Kept(progress.attempts, ends, progress.window)
    return Checkpoint(shard, lane, lanes, progress.after, msgspec.msgpack.encode(kept))


def starts(kept: Sequence[Checkpoint], lanes: int, first: int) -> list[Progress]:
    """Where a shard's lanes begin: where they were, or at `first`.

    When there were more lanes or fewer, keys fall to other ones: all begin where the last was.
    """
    if not kept:
        return [Progress(first)] * lanes
    if len(kept) == lanes and all(each.lanes == lanes for each in kept):
        return [_restored(each) for each in sorted(kept, key=lambda each: each.lane)]
    return [Progress(min(each.sequence for each in kept))] * lanes


def _restored(row: Checkpoint) -> Progress:
    kept = msgspec.msgpack.decode(row.state, type=_Kept)
    return Progress(row.sequence, kept.attempts, tuple(map(int, kept.ends)), kept.window)


class Seen(NamedTuple):
    """A record that was looked at; not `wanted` is one of another lane, or filtered out."""

    sequence: int
    at_ms: int
    size: int
    wanted: bool


@dataclass(slots=True)
class Extent:
    """The batch that is being formed. `full`: the next record belongs to another one; `beyond`:
    it lies behind the end of the batch that is tried again."""

    scanned: int
    count: int = 0
    size: int = 0
    last: int = 0
    first_ms: int = 0
    since_ms: int = 0
    expired: bool = False
    full: bool = False
    beyond: bool = False


def take(
    extent: Extent, progress: Progress, rules: Rules, seen: Seen, now_ms: int, clock_ms: int
) -> bool:
    """Look at the next record; False when the batch ends here. `clock_ms` never goes back."""
    if not seen.wanted:
        extent.scanned = seen.sequence
        return True
    expired = 0 <= rules.age_ms_max < now_ms - seen.at_ms
    if not _fits(extent, progress, rules, seen, expired):
        extent.full = True
        extent.beyond = bool(progress.ends) and seen.sequence > progress.ends[-1]
        return False
    if not extent.count:
        extent.first_ms, extent.since_ms, extent.expired = seen.at_ms, clock_ms, expired
    extent.scanned = extent.last = seen.sequence
    extent.count += 1
    extent.size += seen.size
    at_end = bool(progress.ends) and seen.sequence >= progress.ends[-1]
    extent.full = at_end or extent.count >= rules.batch_size
    return not extent.full


def _fits(extent: Extent, progress: Progress, rules: Rules, seen: Seen, expired: bool) -> bool:
    if progress.ends and seen.sequence > progress.ends[-1]:
        return False
    if rules.tumbling_ms:
        open_ms = progress.window.start_ms if progress.window else None
        if extent.count:
            open_ms = window_start(extent.first_ms, rules)
        if open_ms is not None and window_start(seen.at_ms, rules) != open_ms:
            return False
    if not extent.count:
        return True
    state = len(progress.window.state) if progress.window else 0
    room = EVENT_BYTES_MAX - ENVELOPE_BYTES - state
    return expired == extent.expired and extent.size + seen.size <= room


def window_start(at_ms: int, rules: Rules) -> int:
    """When the tumbling window begins that a moment is in."""
    return at_ms - at_ms % rules.tumbling_ms


@dataclass(frozen=True, slots=True)
class Next:
    """What to do: run the batch, end the window, forget a batch's end that is no more there, or
    wait, for a record alone or no longer than some time."""

    action: Literal["run", "close", "forget", "wait"]
    wait_ms: int | None = None


def next_step(extent: Extent, progress: Progress, rules: Rules, now_ms: int, clock_ms: int) -> Next:
    """Asked when all records there are have been looked at, or the batch is full."""
    window = progress.window if rules.tumbling_ms else None
    if window is not None and window.early:
        return Next("close")
    if extent.count:
        if extent.full or extent.expired or progress.ends:
            return Next("run")
        left_ms = extent.since_ms + rules.wait_ms - clock_ms
        if rules.tumbling_ms:
            end_ms = window_start(extent.first_ms, rules) + rules.tumbling_ms
            left_ms = min(left_ms, end_ms - now_ms)
        return Next("wait", left_ms) if left_ms > 0 else Next("run")
    if extent.beyond:
        return Next("forget")
    if window is not None:
        left_ms = window.start_ms + rules.tumbling_ms - now_ms
        return Next("close") if extent.full or left_ms <= 0 else Next("wait", left_ms)
    return Next("wait")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a batch fared. `place`: of the first record that the function named as failed, whose
    like are not tried alone; `state`: what it passed on within the window."""

    kind: Literal["ok", "failed", "refused", "expired"]
    place: int = 0
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows. From `given_up` on the batch's records are given up, for the condition."""

    progress: Progress
    given_up: int | None = None
    condition: Literal["", "RetryAttemptsExhausted", "RecordAgeExceeded"] = ""
    delay_s: float = 0.0


def after_batch(
    progress: Progress,
    batch: Sequence[int],
    window: int | None,
    verdict: Verdict,
    rules: Rules,
    chance: float,
) -> Step:
    """`batch` has the sequence numbers, `window` the begin of the tumbling window they are in;
    `chance` from 0 to 1 is what jitter is made of."""
    if verdict.kind == "refused":
        return _refused(progress, chance)
    if verdict.kind == "expired":
        kept = _passed(progress, batch[-1])
        attempts = progress.attempts if kept.ends else 0
        kept = msgspec.structs.replace(kept, attempts=attempts)
        return Step(kept, given_up=0, condition="RecordAgeExceeded")
    if window is not None and verdict.state is not None:
        opened = Window(window, verdict.state)
        progress = msgspec.structs.replace(progress, window=opened)
    if verdict.kind == "ok":
        return Step(_passed(progress, batch[-1]))
    return _failed(progress, batch, verdict.place, rules, chance)


def _failed(
    progress: Progress, batch: Sequence[int], place: int, rules: Rules, chance: float
) -> Step:
    last = batch[-1]
    if not progress.ends or progress.ends[-1] != last:
        progress = msgspec.structs.replace(progress, ends=(*progress.ends, last))
    if place:
        # What comes before is done; the rest has been tried as often as it was named: once.
        progress = _passed(progress, batch[place - 1])
    if rules.bisect and len(batch) - place > 1 and not place:
        middle = batch[(len(batch) - 1) // 2]
        ends = (*progress.ends, middle)
        return Step(msgspec.structs.replace(progress, ends=ends, attempts=0, refusals=0))
    if rules.bisect and place:
        return Step(progress)
    attempts = progress.attempts + 1
    if 0 <= rules.retries_max < attempts:
        return Step(_passed(progress, last), place, "RetryAttemptsExhausted")
    tried = msgspec.structs.replace(progress, attempts=attempts, refusals=0)
    return Step(tried, delay_s=_delay_s(attempts, chance))


def after_close(progress: Progress, verdict: Verdict, rules: Rules, chance: float) -> Step:
    """What follows the last call of a window; without records only the event is given up."""
    closed = msgspec.structs.replace(progress, window=None, attempts=0, refusals=0)
    if verdict.kind == "refused":
        return _refused(progress, chance)
    if verdict.kind == "ok":
        return Step(closed)
    attempts = progress.attempts + 1
    if 0 <= rules.retries_max < attempts:
        return Step(closed, 0, "RetryAttemptsExhausted")
    tried = msgspec.structs.replace(progress, attempts=attempts, refusals=0)
    return Step(tried, delay_s=_delay_s(attempts, chance))


def _refused(progress: Progress, chance: float) -> Step:
    refused = msgspec.structs.replace(progress, refusals=progress.refusals + 1)
    delay_s = min(BUSY_DELAY_S * 2.0 ** min(progress.refusals, 16), BUSY_DELAY_S_MAX)
    return Step(refused, delay_s=delay_s * (1 + chance * JITTER))


def _passed(progress: Progress, last: int) -> Progress:
    """All up to `last` is dealt with."""
    ends = tuple(end for end in progress.ends if end > last)
    return Progress(last, 0, ends, progress.window)


def _delay_s(attempts: int, chance: float) -> float:
    delay_s = min(RETRY_DELAY_S * 2.0 ** min(attempts - 1, 16), RETRY_DELAY_S_MAX)
    return delay_s * (1 + chance * JITTER)
