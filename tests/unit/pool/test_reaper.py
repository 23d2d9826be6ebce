"""The reaper: everything is killed once, and let go of as soon as it is gone."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from microfaas.pool.reaper import Reaper


@dataclass(eq=False)
class Dying:
    """Something that needs to be asked a few times before it is gone."""

    asks: int = 0
    fault: OSError | None = None
    said: list[str] = field(default_factory=list)

    def kill(self) -> None:
        self.said.append("kill")
        if self.fault:
            raise self.fault

    def close(self) -> bool:
        self.said.append("close")
        self.asks -= 1
        return self.asks < 0


async def ended(reaper: Reaper, dying: Dying) -> Dying:
    reaper.end(dying)
    await asyncio.sleep(0)
    return dying


async def test_what_is_ended_is_killed_in_the_next_turn() -> None:
    reaper, dying = Reaper(), Dying()
    reaper.end(dying)
    assert dying.said == []
    await asyncio.sleep(0)
    assert dying.said == ["kill"]


async def test_there_is_work_until_it_is_gone() -> None:
    reaper = Reaper()
    await ended(reaper, Dying(asks=1))
    reaper.clear()
    assert reaper.work.is_set()
    reaper.clear()
    assert not reaper.work.is_set()


async def test_what_is_gone_is_not_asked_again() -> None:
    reaper = Reaper()
    dying = await ended(reaper, Dying())
    reaper.clear()
    reaper.clear()
    assert dying.said == ["kill", "close"]


async def test_what_is_ended_twice_is_let_go_of_once() -> None:
    reaper = Reaper()
    dying = await ended(reaper, Dying())
    await ended(reaper, dying)
    reaper.clear()
    assert dying.said.count("close") == 1


async def test_what_is_cleared_before_its_turn_is_not_killed_any_more() -> None:
    reaper, dying = Reaper(), Dying()
    reaper.end(dying)
    reaper.clear()
    await asyncio.sleep(0)
    assert dying.said == ["close"]


async def test_a_kill_that_fails_is_told_and_it_is_still_cleared_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reaper = Reaper()
    with caplog.at_level(logging.ERROR):
        await ended(reaper, Dying(fault=PermissionError("not yours")))
    assert "cannot end a process: not yours" in caplog.text
    reaper.clear()
    assert not reaper.work.is_set()
