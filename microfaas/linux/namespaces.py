"""A root directory for functions: where Lambda puts things, and the system read-only around it.

Theory of operation: the nursery's child, in a mount namespace of its own, builds a tree on a
fresh tmpfs out of bind mounts of the machine's directories, adds a new /proc, a small /dev and
the function's own places, and makes it its root. Nothing is unmounted afterwards by anybody:
the namespace and all its mounts go with its last process.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from microfaas.linux import syscalls as sys

# The machine's directories that a program needs to run. Those that are symbolic links, as /bin
# on a merged-usr system, become the same links.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix", "/gnu")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
RESOLVER = "/etc/resolv.conf"


class Bind(msgspec.Struct, frozen=True, array_like=True):
    """A directory or file of the machine shown at a place of the new root."""

    source: str
    target: str
    write: bool = False


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """What to build: on which empty directory, with which binds, with how large a /tmp."""

    staging: str
    binds: list[Bind]
    tmp_mb: int
    new_proc: bool = True


def enter(root: Root) -> None:
    """Build the new root and make it this process's. Needs a mount namespace of its own."""
    sys.mount("none", "/", "", sys.MS_REC | sys.MS_PRIVATE)
    stage = root.staging
    sys.mount("tmpfs", stage, "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, "mode=755,size=1m")
    for path in SYSTEM:
        _show_system(stage, path)
    _show_resolver(stage)
    _make_tmp(stage, root.tmp_mb)
    for bind in root.binds:  # some may lie below /tmp
        _bind(bind.source, stage + bind.target, write=bind.write)
    _make_dev(stage)
    _make_proc(stage, root.new_proc)
    for empty in ("/opt", "/var/task", "/var/tmp", "/root", "/run"):
        os.makedirs(stage + empty, exist_ok=True)
    _pivot(stage)


def _show_system(stage: str, path: str) -> None:
    if os.path.islink(path):
        os.symlink(os.readlink(path), stage + path)
    elif os.path.isdir(path):
        _bind(path, stage + path)


def _show_resolver(stage: str) -> None:
    """Where /etc/resolv.conf is a link into /run, names need what it points to."""
    actual = os.path.realpath(RESOLVER)
    if actual.startswith("/run/") and os.path.exists(actual):
        _bind(actual, stage + actual)


def _bind(source: str, target: str, write: bool = False) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    # Recursive: in a user namespace the kernel refuses to show a mount without those above it.
    sys.mount(source, target, "", sys.MS_BIND | sys.MS_REC)
    if not write:
        _make_read_only(target)


def _make_read_only(target: str) -> None:
    # A remount must repeat the flags that are locked in a user namespace.
    kept = os.statvfs(target).f_flag & (sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC)
    sys.mount("none", target, "", sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY | kept)


def _make_dev(stage: str) -> None:
    dev = f"{stage}/dev"
    os.makedirs(dev)
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            _bind(f"/dev/{name}", f"{dev}/{name}", write=True)
    for name, target in DEVICE_LINKS.items():
        os.symlink(target, f"{dev}/{name}")


def _make_proc(stage: str, new: bool) -> None:
    os.makedirs(f"{stage}/proc")
    if new:
        flags = sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC
        sys.mount("proc", f"{stage}/proc", "proc", flags)
    else:
        sys.mount("/proc", f"{stage}/proc", "", sys.MS_BIND | sys.MS_REC)


def _make_tmp(stage: str, tmp_mb: int) -> None:
    os.makedirs(f"{stage}/tmp")
    mode = f"mode=1777,size={tmp_mb}m"
    sys.mount("tmpfs", f"{stage}/tmp", "tmpfs", sys.MS_NOSUID | sys.MS_NODEV, mode)


def _pivot(stage: str) -> None:
    os.chdir(stage)
    # With the old root stacked under the new one there is no directory to make and remove.
    sys.pivot_root(".", ".")
    sys.unmount(".", sys.MNT_DETACH)
    os.chdir("/")
    sys.mount("none", "/", "", sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY)
