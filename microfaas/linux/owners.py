"""Directories and devices that a function with a uid of its own is to use as its own.

An idmapped mount shows what belongs to the directory's owner as belonging to the function, and
what the function makes there belongs to the owner on disk. Where the file system cannot do that,
an access control list lets the function into the directory, or use the device.
"""

from __future__ import annotations

import errno
import os
import signal
import struct

from microfaas.linux import cgroup_files as files
from microfaas.linux import process
from microfaas.linux import syscalls as sys

ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)


def show_as_owned(source: str, target: str, user: int, *, write: bool) -> None:
    """Make the mount at `target` look as if `user` owned what the owner of `source` does."""
    owner = os.stat(source)
    try:
        tree = sys.open_tree(target)
        try:
            namespace = _user_namespace(owner.st_uid, owner.st_gid, user)
            try:
                sys.mount_setattr(tree, "", sys.ATTR_IDMAP, namespace)
            finally:
                os.close(namespace)
            sys.move_mount(tree, target)
        finally:
            os.close(tree)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        if write:
            _let_in(source, user)


def _user_namespace(uid: int, gid: int, user: int) -> int:
    """A user namespace in which the ids on disk stand for the function's; a descriptor of it."""
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    pid = sys.fork(sys.CLONE_NEWUSER)
    if pid == 0:
        os.close(ready_write)
        os.read(ready_read, 1)  # until the parent has what it wants, or is gone
        os._exit(0)
    pidfd = os.pidfd_open(pid)
    try:
        # /proc here is of a pid namespace above, which has another number for it.
        directory = f"/proc/{process.host_pid(pidfd)}"
        files.write(f"{directory}/uid_map", f"{uid} {user} 1")
        files.write(f"{directory}/gid_map", f"{gid} {user} 1")
        return os.open(f"{directory}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(pidfd)
        os.close(ready_read)
        os.close(ready_write)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _let_in(path: str, user: int) -> None:
    """Add `user` to the access control list of a directory or device, with all rights."""
    mode = os.stat(path).st_mode
    rows = {
        (_USER_OBJ, _NOBODY): mode >> 6 & 7,
        (_GROUP_OBJ, _NOBODY): mode >> 3 & 7,
        (_OTHER, _NOBODY): mode & 7,
        **_read_acl(path),
    }
    # The mask bounds all but owner and others: who was bound by the old one must stay so.
    bound = rows.pop((_MASK, _NOBODY), 7)
    masked = (_USER, _GROUP_OBJ, _GROUP)
    rows = {key: rights & bound if key[0] in masked else rights for key, rights in rows.items()}
    rows |= {(_USER, user): 7, (_MASK, _NOBODY): 7}
    content = b"".join(struct.pack("<HHI", t, rights, i) for (t, i), rights in sorted(rows.items()))
    os.setxattr(path, ACL, struct.pack("<I", _ACL_VERSION) + content)


def _read_acl(path: str) -> dict[tuple[int, int], int]:
    """Rights by tag and id; empty where nothing but the mode says them."""
    try:
        content = os.getxattr(path, ACL)[4:]
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return {}
    return {(tag, id_): rights for tag, rights, id_ in struct.iter_unpack("<HHI", content)}
