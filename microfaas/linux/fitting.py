"""Showing a program that runs already what it is to run: the directories of a function.

Theory of operation. A spare has been started in a root of its own before anybody knew for which
function. Its working directory is an empty tmpfs, a slot, and a directory that is mounted over it
would not be seen from there, as the kernel has looked up that path already. So what is *in* the
function's directory is mounted into the slot, one entry after the other, and the slot is closed
to writing. This needs rights in the program's mount namespace, and the machine's directories
before that: the nursery has both, and, where there are user namespaces, a child of it.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from microfaas.linux import syscalls as sys

# A directory with more entries takes longer to show than a program to start.
ENTRIES_MAX = 64


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A directory of the machine, and the slot in which its content is to be seen."""

    source: str
    slot: str


def fits(directory: str) -> bool:
    """Whether a directory has few enough entries. Raises OSError."""
    return len(os.listdir(directory)) <= ENTRIES_MAX


def fit_and_return(program: int, places: list[Place]) -> None:
    """Show a process (its pidfd) the content of directories; for root, with one thread."""
    here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        fit(program, places)
    finally:
        sys.setns(here, sys.CLONE_NEWNS)
        # Entering a namespace also makes its root one's own, which this need not have been.
        os.fchdir(root)
        os.chroot(".")
        os.close(root)
        os.close(here)


def fit_as_owner(program: int, places: list[Place]) -> None:
    """The same for a process that has a user namespace of its own, which its owner may enter; who
    does that does not come back."""
    sys.setns(program, sys.CLONE_NEWUSER)
    # Of the machine's mounts a copy that belongs to that namespace.
    sys.unshare(sys.CLONE_NEWNS)
    fit(program, places)


def fit(program: int, places: list[Place]) -> None:
    """Leaves this process in the other's mount namespace."""
    with contextlib.ExitStack() as opened:
        entries = [(place.slot, _take_up(place.source, opened)) for place in places]
        sys.setns(program, sys.CLONE_NEWNS)
        for slot, content in entries:
            for entry in content:
                entry.put(slot)
            closed = sys.ATTR_RDONLY | sys.ATTR_NOSUID | sys.ATTR_NODEV
            sys.mount_setattr(sys.AT_FDCWD, slot, closed)


class _Entry:
    """A file or directory as a detached mount, or a symbolic link."""

    def __init__(self, entry: os.DirEntry[str], opened: contextlib.ExitStack) -> None:
        self.name = entry.name
        self.is_directory = entry.is_dir(follow_symlinks=False)
        self.link = os.readlink(entry.path) if entry.is_symlink() else None
        if self.link is None:
            self.tree = sys.open_tree(entry.path)
            opened.callback(os.close, self.tree)

    def put(self, slot: str) -> None:
        target = os.path.join(slot, self.name)
        if self.link is not None:
            os.symlink(self.link, target)
            return
        if self.is_directory:
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        sys.move_mount(self.tree, target)


def _take_up(directory: str, opened: contextlib.ExitStack) -> list[_Entry]:
    with os.scandir(directory) as entries:
        return [_Entry(entry, opened) for entry in entries]
