"""A root directory for functions: where Lambda puts things, and the system read-only around it.

Theory of operation: the nursery's child, in a mount namespace of its own, builds a tree on a
fresh tmpfs out of bind mounts of the machine's directories, adds a new /proc, a small /dev and
the function's own places, and makes it its root. Nothing is unmounted afterwards by anybody:
the namespace and all its mounts go with its last process.
"""

from __future__ import annotations

import contextlib
import errno
import os

import msgspec

from microfaas.linux import owners
from microfaas.linux import syscalls as sys

# The machine's directories that a program needs to run. Those that are symbolic links, as /bin
# on a merged-usr system, become the same links.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix", "/gnu")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
RESOLVER = "/etc/resolv.conf"
# Where root, even without capabilities, could still change the machine.
KERNEL_SETTINGS = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
# Made here, and shown where they belong: the directories there are the machine's, and read-only.
FILES = "/.files"
STAGE = "mode=755,size=4m"
SLOT = "mode=755,size=1m"


class Bind(msgspec.Struct, frozen=True, array_like=True):
    """A directory or file of the machine shown at a place of the new root.

    `user`, unless 0, is who it belongs to as seen through this mount, whoever it belongs to.
    """

    source: str
    target: str
    write: bool = False
    user: int = 0


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file with this content; `private` means readable by the function alone."""

    path: str
    content: bytes
    private: bool = False

    def __repr__(self) -> str:
        return f"File({self.path!r})"


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """What to build: on which empty directory, with which binds, with how large a /tmp.

    `slots` are places where something can be shown later, see `fitting`.
    """

    staging: str
    binds: list[Bind]
    tmp_mb: int
    slots: list[str] = []
    new_proc: bool = True
    files: list[File] = []
    devices: list[str] = []


def enter(root: Root, user: int | None = None) -> None:
    """Build the new root and make it this process's. Needs a mount namespace of its own.

    Private files are given to `user`.
    """
    sys.mount("none", "/", "", sys.MS_REC | sys.MS_PRIVATE)
    stage = root.staging
    sys.mount("tmpfs", stage, "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, STAGE)
    for path in SYSTEM:
        _show_system(stage, path)
    _show_resolver(stage)
    mount_tmp(f"{stage}/tmp", root.tmp_mb)
    for bind in root.binds:  # some may lie below /tmp
        _bind(bind, stage)
    for number, file in enumerate(root.files):
        _make_file(stage, number, file, user)
    _make_dev(stage, root.devices, user)
    _make_proc(stage, root.new_proc, stays_root=user is None and os.getuid() == 0)
    for empty in ("/opt", "/var/task", "/var/tmp", "/root", "/run"):
        os.makedirs(stage + empty, exist_ok=True)
    for slot in root.slots:
        sys.mount("tmpfs", stage + slot, "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, SLOT)
    _pivot(stage)


def mount_tmp(path: str, tmp_mb: int) -> None:
    """A fresh /tmp of limited size; what is written there is charged to whoever writes."""
    os.makedirs(path, exist_ok=True)
    mode = f"mode=1777,size={tmp_mb}m"
    sys.mount("tmpfs", path, "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, mode)


def _show_system(stage: str, path: str) -> None:
    if os.path.islink(path):
        os.symlink(os.readlink(path), stage + path)
    elif os.path.isdir(path):
        _bind(Bind(path, path), stage)


def _show_resolver(stage: str) -> None:
    """Where /etc/resolv.conf is a link into /run, names need what it points to."""
    actual = os.path.realpath(RESOLVER)
    if actual.startswith("/run/") and os.path.exists(actual):
        _bind(Bind(actual, actual), stage)


def _bind(bind: Bind, stage: str) -> None:
    target = stage + bind.target
    _make_mount_point(bind.source, target)
    # Recursive: in a user namespace the kernel refuses to show a mount without those above it.
    sys.mount(bind.source, target, "", sys.MS_BIND | sys.MS_REC)
    if bind.user:
        owners.show_as_owned(bind.source, target, bind.user, write=bind.write)
    _restrict(target, write=bind.write)


def _make_mount_point(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def _restrict(target: str, *, write: bool = False, devices: bool = False) -> None:
    """No setuid programs, no devices, no writing; for the mounts below as well where it can be."""
    wanted = (
        sys.ATTR_NOSUID | (0 if devices else sys.ATTR_NODEV) | (0 if write else sys.ATTR_RDONLY)
    )
    try:
        sys.mount_setattr(sys.AT_FDCWD, target, wanted)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        # Before Linux 5.12 a remount must repeat the flags that are locked in a user namespace.
        kept = os.statvfs(target).f_flag & sys.MS_NOEXEC
        sys.mount("none", target, "", sys.MS_REMOUNT | sys.MS_BIND | wanted | kept)


def _make_file(stage: str, number: int, file: File, user: int | None) -> None:
    there = f"{stage}{FILES}/{number}"
    os.makedirs(os.path.dirname(there), mode=0o755, exist_ok=True)
    fd = os.open(there, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400 if file.private else 0o444)
    with os.fdopen(fd, "wb") as opened:
        opened.write(file.content)
        if user is not None:
            os.fchown(fd, user, user)
    if os.path.exists(stage + file.path) or not file.path.startswith("/etc/"):
        _bind(Bind(there, file.path), stage)


def _make_dev(stage: str, granted: list[str], user: int | None) -> None:
    os.makedirs(f"{stage}/dev")
    for path in [*(f"/dev/{name}" for name in DEVICES), *granted]:
        if os.path.exists(path):
            _make_mount_point(path, stage + path)
            sys.mount(path, stage + path, "", sys.MS_BIND)
            if user and path in granted:
                owners.show_as_owned(path, stage + path, user, write=True)
            _restrict(stage + path, write=True, devices=True)
    for name, target in DEVICE_LINKS.items():
        os.symlink(target, f"{stage}/dev/{name}")


def _make_proc(stage: str, new: bool, *, stays_root: bool) -> None:
    proc = f"{stage}/proc"
    os.makedirs(proc)
    if not new:
        sys.mount("/proc", proc, "", sys.MS_BIND | sys.MS_REC)
        return
    flags = sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC
    # Processes of others, in this pid namespace those of sibling instances, are not there.
    sys.mount("proc", proc, "proc", flags, "hidepid=2")
    if stays_root:
        for path in KERNEL_SETTINGS:
            if os.path.exists(stage + path):
                sys.mount(stage + path, stage + path, "", sys.MS_BIND | sys.MS_REC)
                _restrict(stage + path)


def _pivot(stage: str) -> None:
    os.chdir(stage)
    # With the old root stacked under the new one there is no directory to make and remove.
    sys.pivot_root(".", ".")
    sys.unmount(".", sys.MNT_DETACH)
    os.chdir("/")
    sys.mount("none", "/", "", sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY)
