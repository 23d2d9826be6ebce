"""The one door to watchdog: what changes in a directory tree, as batches for the event loop.

Theory of operation. watchdog's `InotifyFD` reads the kernel's events in a thread of its own and
calls us back there. We go in at that level, below its Observer, for three reasons: it reports
when the kernel's queue overflowed, it needs one hop to the event loop instead of three, and it
does not hold every event for half a second behind a file that was moved away.

A `Watch` keeps the map from watch descriptors to directories and notes per path what was heard
last. The first note of a batch wakes the loop; all that follow until the loop has fetched it
join the batch. So 10,000 files cost the loop some dozens of wake-ups, and repeated writes to one
file between two fetches count once. The notes are hints, not a history: the reader looks at the
path, and what is there counts.

Nothing is lost between a directory's making and its being watched: it is watched first, and then
noted as TREE, for the reader to scan. The same note stands for a directory that was moved in or
has gone, and, for the root, for an overflow.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Collection

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from microfaas.store.code import EXCLUDED_NAMES

# Past this many paths a batch is replaced by "scan everything".
BATCH_PATHS_MAX = 50_000
DEBOUNCE_S = 0.1
# Somebody who writes without pause must not put a reload off for ever.
DEBOUNCE_S_MAX = 1.0
ROOT_CHECK_S = 2.0

_MASK = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)

_log = logging.getLogger("microfaas.triggers")

Skip = Callable[[str], bool]


class Note(enum.Enum):
    """What was heard about a path last."""

    CREATED = "created"  # a file that is being written, or a link to one
    SETTLED = "settled"  # closed after writing, or renamed into place
    REMOVED = "removed"
    WRITTEN = "written"  # more is in a file whose writing is heard too
    TREE = "tree"  # a directory appeared or went, or events were lost: look at all of it


Batch = dict[str, Note]


class Gone(Exception):
    """The watched directory is no longer there, or no longer the same one."""


class Watcher:
    """One inotify instance, of which a user may have few, with one thread for all watches."""

    def __init__(self) -> None:
        self._inotify: InotifyFD | None = None

    async def watch(self, root: str, skip: Skip | None = None, written: str = "") -> Watch:
        """Begin to watch a directory and what is below it. Raises OSError.

        `written` is the name of a file of which every writing is to be heard.
        """
        if self._inotify is None:
            self._inotify = InotifyFD()
            self._inotify.start()
        watch = Watch(self._inotify, os.path.realpath(root), skip, written)
        try:
            await asyncio.to_thread(watch.open)
        except BaseException:
            watch.close()
            raise
        return watch

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join()
            self._inotify = None


class Watch(WatchCallback):
    """A directory tree under watch. `skip` names directories not to enter."""

    def __init__(self, inotify: InotifyFD, root: str, skip: Skip | None, written: str = "") -> None:
        self.root = root
        self._written = os.path.join(root, written) if written else ""
        # Why some directory is not watched, for the reader to report and scan instead.
        self.blind: str | None = None
        self._inotify = inotify
        self._skip = skip
        self._id = CallbackId(id(self))
        self._loop = asyncio.get_running_loop()
        self._identity: tuple[int, int] | None = None
        self._waking = asyncio.Event()
        # Guards the map; held as long as it takes to walk a new tree, so never by the loop.
        self._lock = threading.RLock()
        self._paths: dict[WatchDescriptor, str] = {}
        self._descriptors: dict[str, WatchDescriptor] = {}
        self._open = False
        self._gone = False
        # Guards the batch, for moments only.
        self._batch_lock = threading.Lock()
        self._batch: Batch = {}

    def open(self) -> None:
        """Watch the tree that is there; blocking. Raises OSError."""
        with self._lock:
            self._identity = _identity(self.root)
            self._open = True
            self._add(self.root)

    async def batch(self) -> Batch:
        """Wait for changes; what was noted since the last call. Raises Gone."""
        while True:
            self._waking.clear()
            with self._batch_lock:
                batch, self._batch = self._batch, {}
            if batch:
                return batch
            # A new directory may have the old one's inode; then only its watch tells them apart.
            if self._gone or _identity(self.root) != self._identity:
                raise Gone(self.root)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOT_CHECK_S):
                    await self._waking.wait()

    def close(self) -> None:
        with self._lock:
            self._open = False
            self._drop_all()

    # What follows is called in watchdog's thread.

    def on_event(self, event: InotifyEvent) -> None:
        with self._lock:
            folder = self._paths.get(event.wd)
            if folder is None:
                return
            try:
                self._hear(event, folder)
            except (OSError, UnicodeError) as error:
                _log.error("cannot follow a change in %s: %s", folder, error)
                self._note(self.root, Note.TREE)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        with self._lock:
            path = self._paths.pop(wd, None)
            if path is None or self._descriptors.get(path) != wd:
                return
            del self._descriptors[path]
            if path == self.root:
                self._gone = True
                self._wake()

    def on_queue_overflow(self) -> None:
        with self._lock:
            if not self._open:
                return
            _log.warning("events about %s were lost in a burst; scanning it", self.root)
            self._drop_all()
            try:
                self._add(self.root)
            except OSError:
                self._gone = True
            self._note(self.root, Note.TREE)

    def _hear(self, event: InotifyEvent, folder: str) -> None:
        if not event.name:
            self._wake()  # about the directory itself; the reader checks whether it is the root
            return
        path = os.path.join(folder, os.fsdecode(event.name))
        if event.is_modify:
            if path == self._written:
                self._note(path, Note.WRITTEN)
        elif event.is_directory:
            self._hear_folder(event, path)
        elif event.is_create:
            self._note(path, Note.CREATED)
        elif event.is_close_write or event.is_moved_to:
            self._note(path, Note.SETTLED)
        else:
            self._note(path, Note.REMOVED)

    def _hear_folder(self, event: InotifyEvent, path: str) -> None:
        if self._skip is not None and self._skip(path):
            return
        if event.is_create or event.is_moved_to:
            self._add(path)
        elif event.is_moved_from:
            inside = path + "/"
            self._drop([p for p in self._descriptors if p == path or p.startswith(inside)])
        elif path in self._descriptors:  # what was in it went before it
            self._drop([path])
        self._note(path, Note.TREE)

    def _add(self, top: str) -> None:
        """Watch a directory, then those in it: what is made meanwhile is heard or found."""
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                self._add_one(folder)
                folders += _folders(folder, self._skip)
            except OSError as error:
                if folder == self.root:
                    raise
                self._miss(folder, error)

    def _add_one(self, folder: str) -> None:
        if folder in self._descriptors:
            return
        # watchdog takes this refusal of the kernel's for a success.
        if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "permission denied", folder)
        mask = Mask(_MASK | InotifyConstants.IN_MODIFY) if self._written else _MASK
        wd = self._inotify.add_callback(os.fsencode(folder), mask, self, self._id)
        self._paths[wd] = folder
        self._descriptors[folder] = wd

    def _miss(self, folder: str, error: OSError) -> None:
        # One that has gone again already is not missed.
        if os.path.isdir(folder) and self.blind is None:
            self.blind = explain(folder, error)

    def _drop_all(self) -> None:
        self._drop(list(self._descriptors))

    def _drop(self, paths: Collection[str]) -> None:
        wds = [self._descriptors.pop(path) for path in paths]
        for wd in wds:
            self._paths.pop(wd, None)
        self._inotify.remove_callbacks([(wd, self._id) for wd in wds])

    def _note(self, path: str, note: Note) -> None:
        with self._batch_lock:
            first = not self._batch
            if len(self._batch) >= BATCH_PATHS_MAX:
                self._batch.clear()
                path, note = self.root, Note.TREE
            self._batch[path] = note
        if first:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._waking.set)


async def changes(
    watcher: Watcher, path: str, exclude: Collection[str] = ()
) -> AsyncIterator[set[str]]:
    """Yield the real paths that changed in a folder of code, or its .zip, once they came to rest.

    What a snapshot leaves out is not watched. An empty set says that from now on nothing is
    missed: at first, and when a folder has gone and come back. Raises OSError when it cannot be
    watched at all.
    """
    if os.path.isdir(path):
        folder, only, skip = path, None, _not_code(exclude)
    else:
        folder, skip = os.path.dirname(os.path.abspath(path)), _everything
        only = os.path.join(os.path.realpath(folder), os.path.basename(path))
    while True:
        with contextlib.suppress(Gone, FileNotFoundError):
            watch = await watcher.watch(folder, skip)
            with contextlib.closing(watch):
                yield set()
                while True:
                    changed = await _rested(watch)
                    if only is None or only in changed:
                        yield changed
        while True:
            await asyncio.sleep(DEBOUNCE_S)
            if os.path.isdir(folder):
                break


async def _rested(watch: Watch) -> set[str]:
    """The changes of one go: up to a pause, or DEBOUNCE_S_MAX."""
    changed = set(await watch.batch())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEBOUNCE_S_MAX):
            while True:
                async with asyncio.timeout(DEBOUNCE_S):
                    changed |= set(await watch.batch())
    return changed


def explain(path: str, error: OSError) -> str:
    """Say why a directory cannot be watched, and what helps."""
    if error.errno == errno.ENOSPC:  # inotify's word for its own limit
        hint = "raise fs.inotify.max_user_watches (sysctl)"
        return f"cannot watch {path}: the limit of watched directories is reached; {hint}"
    if error.errno == errno.EMFILE:
        hint = "raise fs.inotify.max_user_instances (sysctl) or the limit of open files"
        return f"cannot watch {path}: the limit of inotify instances is reached; {hint}"
    return f"cannot watch {path}: {error.strerror or error}"


def _folders(folder: str, skip: Skip | None) -> Collection[str]:
    with os.scandir(folder) as found:
        paths = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    return [path for path in paths if skip is None or not skip(path)]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if os.path.isdir(path) else None


def _not_code(exclude: Collection[str]) -> Skip:
    paths = {os.path.realpath(path) for path in exclude}
    return lambda path: os.path.basename(path) in EXCLUDED_NAMES or path in paths


def _everything(_path: str) -> bool:
    return True
