"""What the tests of deliveries share: endpoints that do as they are told, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import web

PATIENCE_S = 60.0


class _Over(Exception):
    """The test is."""


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """One that is ended with everything in it."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _Over
    except* _Over:
        pass


@dataclasses.dataclass
class Endpoint:
    """An HTTP server that answers with the next of its statuses, and the last one for ever; for
    status 0 not before it is released."""

    statuses: list[int]
    url: str = ""
    release: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    got: list[tuple[dict[str, str], bytes]] = dataclasses.field(default_factory=list)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.got]


@contextlib.asynccontextmanager
async def endpoint(statuses: Sequence[int] = (200,), port: int = 0) -> AsyncIterator[Endpoint]:
    made = Endpoint(list(statuses))

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        made.got.append(({k.lower(): v for k, v in request.headers.items()}, body))
        status = made.statuses.pop(0) if len(made.statuses) > 1 else made.statuses[0]
        if status == 0:
            await made.release.wait()
        return web.Response(
            status=status or 200, text="its words", headers={"Location": "/elsewhere"}
        )

    app = web.Application()
    app.router.add_post("/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/x"
    try:
        yield made
    finally:
        made.release.set()
        await runner.cleanup()
