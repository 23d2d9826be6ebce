"""The runner of triggers: what is put, replaced and stopped while the server runs."""

from __future__ import annotations

import asyncio

from around import surroundings

from microfaas.triggers.kind import Surroundings
from microfaas.triggers.running import Triggers


class Job:
    """Work that is told to stop, and ends when it is let."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.told = asyncio.Event()
        self.ended = False

    async def __call__(self, around: Surroundings) -> None:
        self.begun.set()
        around.report(True)
        await around.stopping.wait()
        self.told.set()
        await self.may_end.wait()
        self.ended = True


def runner(drain_s_max: float = 60.0) -> Triggers:
    return Triggers(surroundings(), drain_s_max)


async def test_what_is_put_runs_at_once_and_is_heard_of() -> None:
    triggers, job = runner(), Job()
    triggers.put_work("a", [job])
    assert triggers.runs("a")
    assert not triggers.changing("a")
    assert triggers.went_well("a") is None
    await job.begun.wait()
    assert triggers.went_well("a") is True
    job.may_end.set()
    await triggers.close()
    assert job.ended


async def test_a_replacement_waits_until_what_was_begun_has_ended() -> None:
    triggers, before, after = runner(), Job(), Job()
    triggers.put_work("a", [before])
    await before.begun.wait()
    triggers.put_work("a", [after])
    assert triggers.changing("a")
    await before.told.wait()
    assert not after.begun.is_set()
    before.may_end.set()
    await triggers.settled("a")
    await after.begun.wait()
    assert before.ended
    assert not triggers.changing("a")
    after.may_end.set()
    await triggers.close()


async def test_of_several_replacements_the_last_one_runs() -> None:
    triggers, jobs = runner(), [Job() for _ in range(4)]
    for job in jobs:
        job.may_end.set()
        triggers.put_work("a", [job])
    await triggers.settled("a")
    await jobs[-1].begun.wait()
    assert [job.begun.is_set() for job in jobs[1:]] == [False, False, True]
    await triggers.close()


async def test_names_are_independent_and_nothing_is_a_replacement_too() -> None:
    triggers, one, other = runner(), Job(), Job()
    triggers.put_work("a", [one])
    triggers.put_work("b", [other])
    await one.begun.wait()
    one.may_end.set()
    triggers.put_work("a", [])
    await triggers.settled("a")
    assert one.ended
    assert not triggers.runs("a")
    assert triggers.went_well("a") is True
    triggers.forget("a")
    assert triggers.went_well("a") is None
    assert triggers.runs("b")
    other.may_end.set()
    await triggers.close()


async def test_closing_stops_all_and_lets_nothing_begin() -> None:
    triggers, before, wanted, late = runner(), Job(), Job(), Job()
    triggers.put_work("a", [before])
    await before.begun.wait()
    triggers.put_work("a", [wanted])
    before.may_end.set()
    await triggers.close()
    triggers.put_work("b", [late])
    assert before.ended
    assert not wanted.begun.is_set()
    assert not triggers.runs("b")


async def test_closing_breaks_off_what_takes_too_long() -> None:
    triggers, stuck = runner(drain_s_max=0.01), Job()
    triggers.put_work("a", [stuck])
    await stuck.begun.wait()
    await triggers.close()
    assert stuck.told.is_set()
    assert not stuck.ended
    assert len(asyncio.all_tasks()) == 1
