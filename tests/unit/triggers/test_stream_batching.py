"""What is done next with a shard, for all that may have been."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.model import EVENT_BYTES_MAX
from microfaas.triggers import batching
from microfaas.triggers.batching import Extent, Progress, Rules, Seen, Verdict, Window

NOW = 1_000_000


def fill(
    extent: Extent, progress: Progress, rules: Rules, seen: list[Seen], now: int = NOW
) -> None:
    for record in seen:
        if record.sequence > extent.scanned and not batching.take(
            extent, progress, rules, record, now, now
        ):
            return


class Lane:
    """A lane over records in memory, whose function fails of some of them."""

    def __init__(self, rules: Rules, records: list[Seen], bad: set[int], reports: bool) -> None:
        self.rules = rules
        self.records = records
        self.bad = bad
        self.reports = reports
        self.progress = Progress(0)
        self.done: list[int] = []
        self.lost: list[int] = []
        self.batches: list[list[int]] = []
        self.windows: list[tuple[int, bytes]] = []

    def verdict(self, batch: list[int], state: bytes) -> Verdict:
        failed = [place for place, sequence in enumerate(batch) if sequence in self.bad]
        passed = state + b"x" * len(batch)
        if not failed:
            return Verdict("ok", state=passed)
        return Verdict("failed", failed[0] if self.reports else 0)

    def run(self, now: int = NOW) -> None:
        """Until there is nothing left that can be done."""
        for _ in range(10_000):
            # A crash at any moment: only what is on disk is known.
            row = batching.checkpoint(1, 0, 1, self.progress)
            [self.progress] = batching.starts([row], 1, 0)
            extent = Extent(self.progress.after)
            fill(extent, self.progress, self.rules, self.records, now)
            step = batching.next_step(extent, self.progress, self.rules, now, now + 10**9)
            match step.action:
                case "run":
                    self.run_batch(extent)
                case "close":
                    window = self.progress.window
                    assert window is not None
                    self.windows.append((window.start_ms, window.state))
                    step = batching.after_close(self.progress, Verdict("ok"), self.rules, 0)
                    self.progress = step.progress
                case "forget":
                    self.progress = msgspec.structs.replace(self.progress, ends=())
                case "wait":
                    return
        raise AssertionError("it never ends")

    def run_batch(self, extent: Extent) -> None:
        batch = [
            record.sequence
            for record in self.records
            if self.progress.after < record.sequence <= extent.last and record.wanted
        ]
        assert len(batch) == extent.count <= self.rules.batch_size
        self.batches.append(batch)
        window = state = None
        if self.rules.tumbling_ms:
            window = batching.window_start(extent.first_ms, self.rules)
            state = self.progress.window.state if self.progress.window else b""
        verdict = self.verdict(batch, state or b"")
        step = batching.after_batch(self.progress, batch, window, verdict, self.rules, 0.5)
        kept = len(batch) if step.given_up is None else step.given_up
        self.lost += batch[kept:]
        self.done += [s for s in batch[:kept] if self.progress.after < s <= step.progress.after]
        self.progress = step.progress


SEQUENCES = st.lists(st.booleans(), max_size=60)


@settings(max_examples=300, deadline=None)
@given(
    wanted=SEQUENCES,
    bad=st.sets(st.integers(1, 60), max_size=8),
    size=st.integers(1, 20),
    retries=st.integers(0, 3),
    bisect=st.booleans(),
    reports=st.booleans(),
)
def test_each_record_is_dealt_with_once_and_in_order(
    wanted: list[bool], bad: set[int], size: int, retries: int, bisect: bool, reports: bool
) -> None:
    records = [Seen(n, n, 100, each) for n, each in enumerate(wanted, 1)]
    rules = Rules(batch_size=size, retries_max=retries, bisect=bisect)
    lane = Lane(rules, records, bad, reports)
    lane.run()
    all_ = [record.sequence for record in records if record.wanted]
    assert sorted(lane.done + lane.lost) == all_
    assert lane.done == sorted(lane.done)
    assert lane.lost == sorted(lane.lost)
    if bisect:
        assert lane.lost == [s for s in all_ if s in bad]
        # A record that fails is tried alone, as often as it may be.
        for sequence in lane.lost:
            assert lane.batches.count([sequence]) == retries + 1
    assert set(all_) & bad <= set(lane.lost)


@settings(max_examples=200, deadline=None)
@given(
    times=st.lists(st.integers(0, 999), max_size=40),
    size=st.integers(1, 7),
)
def test_windows_have_exactly_their_records(times: list[int], size: int) -> None:
    records = [Seen(n, at, 100, True) for n, at in enumerate(sorted(times), 1)]
    lane = Lane(Rules(batch_size=size, tumbling_ms=100), records, set(), False)
    lane.run()
    counts: dict[int, int] = {}
    for at in times:
        counts[at - at % 100] = counts.get(at - at % 100, 0) + 1
    assert lane.windows == [(start, b"x" * count) for start, count in sorted(counts.items())]
    assert lane.progress.window is None


def test_a_batch_waits_for_its_window_or_to_be_full() -> None:
    rules = Rules(batch_size=3, wait_ms=500)
    extent, progress = Extent(0), Progress(0)
    fill(extent, progress, rules, [Seen(1, NOW, 10, True)])
    assert batching.next_step(extent, progress, rules, NOW, NOW + 100).wait_ms == 400
    assert batching.next_step(extent, progress, rules, NOW, NOW + 500).action == "run"
    fill(extent, progress, rules, [Seen(n, NOW, 10, True) for n in range(2, 9)])
    assert extent.count == 3
    assert batching.next_step(extent, progress, rules, NOW, NOW).action == "run"


def test_a_window_that_is_open_is_waited_for() -> None:
    rules = Rules(tumbling_ms=1000)
    progress = Progress(5, window=Window(NOW, b"{}"))
    assert batching.next_step(Extent(5), progress, rules, NOW + 400, 0).wait_ms == 600
    assert batching.next_step(Extent(5), progress, rules, NOW + 1000, 0).action == "close"


def test_a_state_that_is_too_large_ends_the_window_early() -> None:
    rules = Rules(tumbling_ms=1000)
    large = b'"' + b"x" * batching.STATE_BYTES_MAX + b'"'
    step = batching.after_batch(
        Progress(0), [1], NOW, Verdict("ok", state=large), rules, 0
    ).progress
    assert batching.next_step(Extent(1), step, rules, NOW, 0).action == "close"
    assert step.window is not None
    assert step.window.early


def test_events_stay_within_what_an_invocation_may_carry() -> None:
    rules, extent = Rules(batch_size=100), Extent(0)
    fill(extent, Progress(0), rules, [Seen(n, NOW, 1_000_000, True) for n in range(1, 50)])
    assert extent.size <= EVENT_BYTES_MAX < extent.size + 1_000_000
    assert extent.full


def test_one_record_is_a_batch_however_large() -> None:
    extent = Extent(0)
    fill(extent, Progress(0), Rules(), [Seen(1, NOW, 2 * EVENT_BYTES_MAX, True)])
    assert extent.count == 1


def test_what_is_too_old_is_given_up_apart_from_the_rest() -> None:
    rules = Rules(age_ms_max=1000)
    records = [Seen(1, NOW - 5000, 1, True), Seen(2, NOW - 1001, 1, True), Seen(3, NOW, 1, True)]
    extent, progress = Extent(0), Progress(0, attempts=2, ends=(3,))
    fill(extent, progress, rules, records)
    assert (extent.last, extent.expired) == (2, True)
    step = batching.after_batch(progress, [1, 2], None, Verdict("expired"), rules, 0)
    assert (step.given_up, step.condition) == (0, "RecordAgeExceeded")
    assert step.progress == Progress(2, 2, (3,))


def test_refusals_are_no_attempts_and_are_waited_out_ever_longer() -> None:
    rules = Rules(retries_max=0)
    progress, waits = Progress(0), []
    for _ in range(12):
        step = batching.after_batch(progress, [1], None, Verdict("refused"), rules, 0)
        progress = step.progress
        waits.append(step.delay_s)
    assert waits == sorted(waits)
    assert waits[-1] == batching.BUSY_DELAY_S_MAX
    assert (progress.attempts, progress.after) == (0, 0)


def test_a_batch_is_tried_again_as_it_was() -> None:
    rules = Rules(batch_size=100)
    step = batching.after_batch(Progress(0), [1, 2], None, Verdict("failed"), rules, 0)
    extent = Extent(0)
    fill(extent, step.progress, rules, [Seen(n, NOW, 10, True) for n in range(1, 6)])
    assert (extent.count, extent.last) == (2, 2)
    assert batching.next_step(extent, step.progress, rules, NOW, NOW).action == "run"


def test_without_limit_a_batch_is_tried_for_ever() -> None:
    progress = Progress(0)
    for _ in range(20_000):
        step = batching.after_batch(progress, [1], None, Verdict("failed"), Rules(), 0)
        assert step.given_up is None
        assert 0 < step.delay_s <= batching.RETRY_DELAY_S_MAX
        progress = step.progress


def test_the_end_of_a_batch_that_was_trimmed_is_forgotten() -> None:
    extent, progress = Extent(4), Progress(4, 1, (6,))
    fill(extent, progress, Rules(), [Seen(9, NOW, 10, True)])
    assert batching.next_step(extent, progress, Rules(), NOW, NOW).action == "forget"


def test_other_lanes_than_before_begin_where_the_last_one_was() -> None:
    rows = [batching.checkpoint(1, lane, 3, Progress(10 + lane)) for lane in range(3)]
    assert batching.starts(rows, 3, 0) == [Progress(10), Progress(11), Progress(12)]
    assert batching.starts(rows, 2, 0) == [Progress(10), Progress(10)]
    assert batching.starts([], 2, 7) == [Progress(7), Progress(7)]
