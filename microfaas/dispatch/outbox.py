"""Destinations outside: records that are posted to a URL, or written into a directory."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from microfaas.dispatch.delivery import Route, Verdict, letter_of
from microfaas.dispatch.destinations import OUTBOX_PREFIX
from microfaas.dispatch.http import HttpSender
from microfaas.model import Destination
from microfaas.store.messages import Message, MessageStore

THREADS_MAX = 8
_HEADERS = {"Content-Type": "application/json", "User-Agent": "microfaas"}


class _Context(msgspec.Struct):
    functionArn: str = ""


class _Record(msgspec.Struct):
    """Of a record, what its file's name is made of."""

    timestamp: str = ""
    requestContext: _Context = msgspec.field(default_factory=_Context)


class Outbox:
    """A consumer for every destination outside that was ever sent to."""

    def __init__(self, store: MessageStore, http: HttpSender, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._http = http
        self._tasks = tasks
        self._routes: list[Route] = []
        self._served: set[str] = set()
        # A disk that hangs holds up nobody else's threads.
        self._threads = ThreadPoolExecutor(THREADS_MAX, "outbox")

    def serve(self, destinations: Iterable[Destination | None]) -> None:
        """Start to send: to those, and what is left of others. More of them may come later."""
        outside = {d.name for d in destinations if d is not None and d.kind in _KINDS}
        left = {depth.name for depth in self._store.depths() if depth.messages}
        outside |= {
            name.removeprefix(OUTBOX_PREFIX) for name in left if name.startswith(OUTBOX_PREFIX)
        }
        for name in sorted(outside - self._served):
            post = name.startswith(("http:", "https:"))
            send = functools.partial(self._post if post else self._write, name)
            route = Route(self._store, OUTBOX_PREFIX + name, send, letter_of, self._tasks)
            self._routes.append(route)
        self._served |= outside

    def stop(self) -> list[Route]:
        """Begin nothing more; those that may still be at work."""
        for route in self._routes:
            route.stop()
        return self._routes

    def close(self) -> None:
        """To be called when nothing is at work, or need not be waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _post(self, url: str, message: Message) -> Verdict:
        headers = _HEADERS
        if message.attributes:  # it may lead back here, to a function's URL
            headers = {**_HEADERS, "X-Amzn-Trace-Id": message.attributes.decode()}
        return await self._http.post(url, message.body, headers)

    async def _write(self, directory: str, message: Message) -> Verdict:
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, write_record, directory, message)
        except OSError as error:
            return Verdict("later", f"cannot write into {directory}: {error.strerror or error}")
        return Verdict("done")


_KINDS = ("url", "directory")


def write_record(directory: str, message: Message) -> None:
    """Write a record where S3 would have it; it appears whole, and once."""
    folder, name = os.path.split(os.path.join(directory, key_of(message)))
    _make(folder)
    directory_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
        with open(descriptor, "wb") as file:
            file.write(message.body)
            file.flush()
            os.fsync(descriptor)
            # With a directory's descriptor Python follows the link in /proc, else it does not. An
            # attempt that was not recorded left the file there already.
            with contextlib.suppress(FileExistsError):
                os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory_fd)
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)


def _make(folder: str) -> None:
    """A directory that is there after a power cut, with those above it."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    _make(above)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_of(message: Message) -> str:
    """`aws/lambda/async/FUNCTION/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-UUID`."""
    try:
        record = msgspec.json.decode(message.body, type=_Record)
    except (ValueError, RecursionError):
        record = _Record()
    parts = record.requestContext.functionArn.split(":")
    function = parts[6] if len(parts) > 6 else "unknown"
    second = record.timestamp[:19].replace(":", ".")
    return f"aws/lambda/async/{function}/{second[:10].replace('-', '/')}/{second}-{message.uuid}"
