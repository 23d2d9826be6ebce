"""Usage: totals that add up, a history that stays bounded, a disk that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from microfaas.errors import MachineError
from microfaas.store import usage
from microfaas.store.db import Database
from microfaas.store.usage import DAY_MS, Total, UsageLog, UsageRow

DAY = 20_000


def row(function: str = "f", at_ms: int = DAY * DAY_MS, **fields: object) -> UsageRow:
    plain = UsageRow(at_ms, function, "$LATEST", "id", "ok", 1.5, 2, 0.5, 512, 40, None)
    return plain._replace(**fields)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


def log_of(db: Database) -> UsageLog:
    return UsageLog(db, now=lambda: DAY * DAY_MS / 1000)


async def test_totals_per_function(db: Database) -> None:
    log = log_of(db)
    log.record(row(init_ms=3.0, billed_ms=1000))
    log.record(row(status="timeout", billed_ms=3000, peak_mb=99))
    log.record(row("g"))
    await log.flush()
    log.record(row(at_ms=(DAY + 1) * DAY_MS, billed_ms=0))
    await log.flush()
    assert usage.totals(db) == [
        Total("f", 3, 1, 4000, 2.0, 1.5, 99, 1),
        Total("g", 1, 0, 2, 0.001, 0.5, 40, 0),
    ]
    assert [total.function for total in usage.totals(db, function="g")] == ["g"]


async def test_totals_since_a_moment_count_single_invocations_of_the_cut_day(db: Database) -> None:
    log = log_of(db)
    noon = DAY * DAY_MS + DAY_MS // 2
    for at_ms in (noon - 1, noon, noon + 1, noon + DAY_MS):
        log.record(row(at_ms=at_ms))
    await log.flush()
    assert usage.totals(db, since_ms=noon)[0].invocations == 3
    assert usage.totals(db, since_ms=DAY * DAY_MS)[0].invocations == 4
    assert usage.totals(db, since_ms=noon + 2 * DAY_MS) == []


async def test_recent_is_newest_first(db: Database) -> None:
    log = log_of(db)
    rows = [row(request_id=str(number), init_ms=number or None) for number in range(5)]
    for one in (*rows, row("other")):
        log.record(one)
    await log.flush()
    assert usage.recent(db, "f", 3) == rows[:1:-1]


async def test_history_is_bounded_and_totals_are_not(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "HISTORY_ROWS", 10)
    log = log_of(db)
    for _ in range(4):
        for _ in range(8):
            log.record(row())
        await log.flush()
    assert len(usage.recent(db, "f", 1000)) == 10
    assert usage.totals(db)[0].invocations == 32


async def test_old_history_goes(db: Database) -> None:
    log = log_of(db)
    log.record(row(at_ms=(DAY - usage.HISTORY_DAYS - 1) * DAY_MS))
    log.record(row())
    await log.flush()
    assert len(usage.recent(db, "f", 1000)) == 1
    assert usage.totals(db)[0].invocations == 2


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


class Refusing(Database):
    refuse = True

    async def write_all(self, writes: object) -> None:
        if self.refuse:
            raise MachineError("cannot write: the disk is full")
        await super().write_all(writes)  # type: ignore[arg-type]


async def test_nothing_is_missing_from_the_totals_when_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "ROWS_WAITING_MAX", 100)
    db = Refusing(str(tmp_path / "store.db"))
    db.open()
    log = log_of(db)
    for _ in range(7):
        for _ in range(40):
            log.record(row(cpu_ms=1.0))
        with pytest.raises(MachineError):
            await log.flush()
        assert len(log._rows) <= 100
    db.refuse = False
    await log.flush()
    await log.flush()
    assert usage.totals(db)[0][:2] == ("f", 280)
    assert usage.totals(db)[0].cpu_ms == 280.0
    db.close()


async def test_run_writes_in_the_background_and_outlives_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(usage, "FLUSH_S", 0.01)
    db = Refusing(str(tmp_path / "store.db"))
    db.open()
    log = log_of(db)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(log.run())
        log.record(row())
        await until(lambda: bool(caplog.records))
        db.refuse = False
        await until(lambda: bool(usage.totals(db)))
        running.cancel()
    assert len(caplog.records) == 1
    db.close()
