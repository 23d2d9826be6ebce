"""Redrives: what lies in a dead letter queue goes back, some messages to a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from queue_world import World, opened, tables

from microfaas.config.queues import QueueTable
from microfaas.errors import ServiceError
from microfaas.messaging.moves import MOVED_AT_ONCE, Move, Moves
from microfaas.store.resources import Resources

DECLARED = tables(
    q=QueueTable(dead_letter_queue="dlq", receives_max=1, visibility_timeout_s=1),
    other=QueueTable(),
    dlq=QueueTable(),
)


PATIENCE_S = 60.0


def moves_of(world: World, tasks: asyncio.TaskGroup) -> Moves:
    return Moves(world.queues, world.store, Resources(world.database), tasks)


def depths(world: World) -> dict[str, int]:
    return {name: world.store.depth(f"queue:{name}").messages for name in DECLARED}


async def give_up(world: World, *bodies: str, trace: str = "") -> None:
    """Have messages of q go to its dead letter queue."""
    await world.send("q", *bodies, trace=trace)
    while await world.queues.receive("q", 100):
        world.clock.ahead_ms += 2_000


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


async def ended(move: Move) -> None:
    await until(lambda: move.status != "RUNNING")


async def killed_in_the_middle(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        move = await moves_of(world, tasks).start("dlq", "other", 5)
        await until(lambda: move.moved == 5)
        raise RuntimeError("the server is killed")


async def test_all_go_back_where_they_came_from(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world, asyncio.TaskGroup() as tasks:
        count = MOVED_AT_ONCE + 5
        await give_up(world, *map(str, range(count)))
        assert depths(world) == {"q": 0, "other": 0, "dlq": count}
        move = await moves_of(world, tasks).start("dlq", "", None)
        await ended(move)
        assert (move.status, move.moved, move.total) == ("COMPLETED", count, count)
        assert depths(world) == {"q": count, "other": 0, "dlq": 0}
        (back,) = await world.queues.receive("q")
        told = back.system()
        assert told["ApproximateReceiveCount"] == "1"
        assert "DeadLetterQueueSourceArn" not in told


async def test_what_is_moved_begins_a_chain_anew(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world, asyncio.TaskGroup() as tasks:
        await give_up(world, "a", trace="Root=1;Lineage=1:a87bd80c:15")
        (dead,) = await world.queues.receive("dlq", visibility_s=0)
        assert dead.kept.trace == "Root=1;Lineage=1:a87bd80c:15"
        await ended(await moves_of(world, tasks).start("dlq", "", None))
        (moved,) = await world.queues.receive("q")
        assert moved.kept.trace == "Root=1"


async def test_a_move_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await give_up(world, *map(str, range(10)))
        with pytest.raises(ExceptionGroup):
            await killed_in_the_middle(world)
        assert depths(world) == {"q": 0, "other": 5, "dlq": 5}
    async with opened(tmp_path, DECLARED) as world, asyncio.TaskGroup() as tasks:
        moves = moves_of(world, tasks)
        (move,) = moves.of("dlq")
        assert (move.status, move.moved) == ("RUNNING", 5)
        moves.serve()
        await ended(move)
        assert (move.status, move.moved) == ("COMPLETED", 10)
        assert depths(world) == {"q": 0, "other": 10, "dlq": 0}


async def test_a_move_is_cancelled_and_one_runs_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world, asyncio.TaskGroup() as tasks:
        await give_up(world, *map(str, range(10)))
        moves = moves_of(world, tasks)
        move = await moves.start("dlq", "", 1)
        with pytest.raises(ServiceError, match="already a task running"):
            await moves.start("dlq", "", None)
        await moves.cancel(move.id)
        await ended(move)
        assert move.status == "CANCELLED"
        assert depths(world)["dlq"] >= 9
        with pytest.raises(ServiceError, match="does not exist"):
            await moves.cancel(move.id)


async def test_what_has_nowhere_to_go_ends_a_move(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world, asyncio.TaskGroup() as tasks:
        await world.send("dlq", "from nowhere")
        moves = moves_of(world, tasks)
        move = await moves.start("dlq", "", None)
        await ended(move)
        assert (move.status, depths(world)["dlq"]) == ("FAILED", 1)
        with pytest.raises(ServiceError, match="Dead Letter Queue"):
            await moves.start("q", "", None)
