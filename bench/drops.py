"""File drops: from the close of a written file to the start of its handler, and a heap at once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bench import floor, server
from bench.effort import Effort
from bench.endpoint import wait_until
from bench.report import Row, at_most, middle, p99

MEDIAN_MS_MAX, HEAP, HEAP_S_MAX = 10, 10_000, 20
WAIT_S_MAX = 120
PAUSE_S = 0.02
CONTENT = b"x" * 200


def run(effort: Effort) -> list[Row]:
    notices = [took / 1000 for took in floor.notice(effort.drops)]
    with watching() as folder:
        single = one_by_one_ms(folder, effort.drops)
        heaped = heap(folder, effort.burst_drops)
    return [single_row(single, notices, effort.drops), heap_row(heaped, effort.burst_drops)]


@dataclass(frozen=True)
class Heap:
    """How it went with many files at once."""

    took_s: float
    found: int
    repeated: int


@contextmanager
def watching() -> Iterator[Path]:
    """A server whose function stamps every file dropped in `inbox/`."""
    with server.project() as folder:
        for name in ("inbox", "out"):
            (folder / name).mkdir()
        # The handler may run as a user of its own.
        (folder / "out").chmod(0o777)
        (folder / "out" / "stamps").touch()
        (folder / "out" / "stamps").chmod(0o666)
        trigger = {"type": "bucket", "path": "inbox", "events": ["created"]}
        mounts = {"OUT": {"path": "out", "write": True}}
        function = server.function("stamp", mounts=mounts, triggers=[trigger])
        with server.serving({"stamp": function}, folder):
            yield folder


def drop(folder: Path, name: str) -> int:
    """Write one file; the monotonic time (ns) just before it is closed."""
    file = os.open(folder / "inbox" / name, os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(file, CONTENT)
    closed_ns = time.monotonic_ns()
    os.close(file)
    return closed_ns


def stamps(folder: Path) -> list[tuple[str, int]]:
    """The key and the time (ns) of each start of the handler."""
    pairs = (line.split(" ", 1) for line in (folder / "out" / "stamps").read_text().splitlines())
    return [(key, int(at_ns)) for at_ns, key in pairs]


def handled(folder: Path, key: str) -> bool:
    return any(key == name for name, _ in stamps(folder))


def one_by_one_ms(folder: Path, count: int) -> list[float]:
    closed_ns = {}
    for number in range(count + 1):
        name = f"single-{number:05}"
        closed_ns[name] = drop(folder, name)
        wait_until(partial(handled, folder, name), WAIT_S_MAX if number == 0 else 2)
        time.sleep(PAUSE_S)
    closed_ns.pop("single-00000")  # the first one started the function
    started = dict(stamps(folder))
    return [(started[key] - at) / 1e6 for key, at in closed_ns.items() if key in started]


def heap(folder: Path, count: int) -> Heap:
    """Drop COUNT files as fast as they can be written; wait until all are handled."""
    log = folder / "out" / "stamps"
    size = log.stat().st_size
    names = [f"heap-{number:05}" for number in range(count)]
    start = time.monotonic()
    for name in names:
        drop(folder, name)
    # Its size, for reading the log again and again would take the CPU from who is measured.
    expected = size + count * len(f"{0:020} {names[0]}\n")
    wait_until(lambda: log.stat().st_size >= expected, WAIT_S_MAX)
    took_s = time.monotonic() - start
    keys = [key for key, _ in stamps(folder) if key.startswith("heap-")]
    return Heap(took_s, found=len(set(keys)), repeated=len(keys) - len(set(keys)))


def single_row(delays: list[float], notices: list[float], count: int) -> Row:
    lost = count - len(delays)
    return Row(
        scenario="file-drop",
        unit="ms",
        target=f"≤ {MEDIAN_MS_MAX} ms",
        median=middle(delays),
        p99=p99(delays),
        floor=middle(notices),
        met=at_most(middle(delays), MEDIAN_MS_MAX),
        note=f"{lost} of {count} files were not handled" if lost else "",
        details={"files": count},
    )


def heap_row(heaped: Heap, count: int) -> Row:
    lost = count - heaped.found
    in_time = at_most(heaped.took_s, HEAP_S_MAX) if count >= HEAP else None
    remarks = {"lost": lost, "handled more than once": heaped.repeated}
    return Row(
        scenario=f"file-drop: {count} files",
        unit="s",
        target=f"{HEAP:,} in ≤ {HEAP_S_MAX} s, none lost",
        median=heaped.took_s,
        met=False if lost else in_time,
        note="\n".join(f"{number} files {what}" for what, number in remarks.items() if number),
        details={"files": count, **asdict(heaped)},
    )
