"""Users: a uid of its own for each function, and user namespaces with one user in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection

from microfaas.linux import cgroup_files as files

# No range that systemd, containers or subuid files hand out: a quarter of a billion ids.
UID_BASE = 0x70000000
UID_RANGE = 0x0FFF0000


def uid_of(name: str, data_dir: str, taken: Collection[int] = ()) -> int:
    """The uid (and gid) of a function: the same after every start, another for every function.

    Nothing is registered: the id is a hash, and the next free one where two collide.
    """
    digest = hashlib.sha256(f"{data_dir}\0{name}".encode()).digest()
    uid = UID_BASE + int.from_bytes(digest[:8]) % UID_RANGE
    while uid in taken:
        uid = UID_BASE + (uid - UID_BASE + 1) % UID_RANGE
    return uid


def become(uid: int) -> None:
    """Change to a user, in no group but its own, for good. Needs root."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def map_one(process: int, uid: int, gid: int) -> None:
    """In a new user namespace, be who one is; the files of all others belong to nobody.

    `process` is this process's directory in /proc, open.
    """
    files.write("setgroups", "deny", process)
    files.write("uid_map", f"{uid} {uid} 1", process)
    files.write("gid_map", f"{gid} {gid} 1", process)


def open_process() -> int:
    """This process's directory in /proc, to be used where /proc is another namespace's."""
    return os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
