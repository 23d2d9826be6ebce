"""Who is at the other end of a connection: a process of this instance, or somebody else.

Theory of operation. The Runtime API listens on a loopback that other programs of the machine may
share, and at the least other instances of the same function, which have the same user. Whoever
reaches it could take an instance's event or answer in its place. So for each connection, before a
byte of it is looked at, the kernel is asked:

1. `/proc/net/tcp` has the peer's socket by the two addresses, with its inode and its user. Another
   user's is refused at once.
2. A process below this one must hold that socket. This process is a subreaper, so whatever its
   children start stays below it, also when a parent in between is gone; and nobody else can get
   there. Descent is walked down by the lists of children, which the kernel may leave incomplete
   while processes come and go; so a miss is looked at again by all of `/proc`, walking up.
3. The connection must still be established afterwards. A peer that resets its connection at once
   frees its address for a process of ours to connect from; then the socket found is not the
   peer's. Two established connections cannot have the same addresses, and one that has been left
   is not established again: so if it is now, it has been all the time.

A process may die and its number be given to another between two looks. The directory of a process
is therefore kept open while it is looked at: it goes on meaning the one that was, and reads fail
when that is gone. Its parent is read through it, after the socket has been found in it.

`hidepid` and namespaces hide only processes that could not be looked into anyhow: those of other
users, and those that made themselves undumpable. A process of ours that did that cannot be told
from a stranger, and is refused: a runtime that wants it can do so after its first request. Where
a program of ours gives its socket to a stranger, that is its will, as if it had passed on the
bytes.
"""

import os
import struct

_ESTABLISHED = 1
_TCP_INFO = 11
_SOL_TCP = 6


def is_ours(connection, listener_port):
    """Whether a process that this one has started is at the other end."""
    try:
        address, port = connection.getpeername()
    except OSError:
        return False  # it is gone already
    inode = _inode(_table_key(address, port), _table_key("127.0.0.1", listener_port))
    if inode is None:
        return False
    target = f"socket:[{inode}]"
    if not (_below(os.getpid(), target) or _anywhere(target)):
        return False
    return connection.getsockopt(_SOL_TCP, _TCP_INFO, 1)[0] == _ESTABLISHED


def _table_key(address, port):
    """An address as the kernel's table writes it."""
    (number,) = struct.unpack("=I", bytes(map(int, address.split("."))))
    return b"%08X:%04X" % (number, port)


def _inode(local, remote):
    """The inode of this user's socket with these addresses."""
    with open("/proc/self/net/tcp", "rb", buffering=0) as file:
        table = file.readall()
    at = table.find(b": " + local + b" " + remote + b" ")
    if at < 0:
        return None
    fields = table[at : table.index(b"\n", at)].split()
    user, inode = int(fields[7]), int(fields[9])
    return inode if user == os.geteuid() and inode else None


def _below(pid, target):
    """Whether a process below `pid` holds the socket, going down by the lists of children."""
    waiting = _children(pid)
    seen = set()
    while waiting:
        child = waiting.pop()
        if child in seen:
            continue
        seen.add(child)
        if _holds(child, target):
            return True
        waiting += _children(child)
    return False


def _anywhere(target):
    """The same, by a look at every process that can be seen."""
    me = os.getpid()
    return any(
        _holds(int(name), target)
        for name in os.listdir("/proc")
        if name.isdigit() and int(name) != me
    )


def _children(pid):
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue  # it is gone, or the kernel has no such lists
    return found


def _holds(pid, target):
    """Whether this process has the socket and descends from this one."""
    try:
        directory = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return _has_open(directory, target) and _descends(directory)
    except (OSError, ValueError):
        return False
    finally:
        os.close(directory)


def _has_open(directory, target):
    descriptors = os.open("fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        for name in os.listdir(descriptors):
            try:
                if os.readlink(name, dir_fd=descriptors) == target:
                    return True
            except OSError:
                continue  # closed since
    finally:
        os.close(descriptors)
    return False


def _descends(directory):
    """Whether the process of an open directory is below this one."""
    me = os.getpid()
    parent = _parent(os.open("stat", os.O_RDONLY, dir_fd=directory))
    while parent > 1 and parent != me:
        parent = _parent(os.open(f"/proc/{parent}/stat", os.O_RDONLY))
    return parent == me


def _parent(fd):
    try:
        # The program's name, in parentheses, may hold anything.
        return int(os.read(fd, 1024).rpartition(b")")[2].split()[1])
    finally:
        os.close(fd)
