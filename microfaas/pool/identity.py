"""Who a function is, by the files that tell: a user with a name, and the hosts it knows. Pure."""

from __future__ import annotations

import os

from microfaas.linux.namespaces import File

# The name that AWS gives it. Unlike there its home can be written to.
NAME = "sbx_user1051"
HOME = "/tmp"
_NOLOGIN = "/sbin/nologin"
_NOBODY = 65534


def files(user: int | None, hosts: str | None) -> list[File]:
    """/etc/passwd and /etc/group with this user alone; /etc/hosts where the network is its own."""
    uid, gid = (os.getuid(), os.getgid()) if user is None else (user, user)
    root = "root:x:0:0::/root:" + _NOLOGIN
    own = f"{NAME}:x:{uid}:{gid}::{HOME}:{_NOLOGIN}"
    nobody = f"nobody:x:{_NOBODY}:{_NOBODY}::/:{_NOLOGIN}"
    lines = [root, nobody] if uid == 0 else [root, own, nobody]
    groups = [f"{line.split(':')[0]}:x:{line.split(':')[3]}:" for line in lines]
    made = [
        File("/etc/passwd", "".join(f"{line}\n" for line in lines).encode()),
        File("/etc/group", "".join(f"{line}\n" for line in groups).encode()),
    ]
    return made if hosts is None else [*made, File("/etc/hosts", hosts.encode())]
