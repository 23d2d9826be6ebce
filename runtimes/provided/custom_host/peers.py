"""Who is at the other end of a connection: a process of this instance, or somebody else.

Theory of operation. The Runtime API listens on a loopback that other programs of the machine may
share, and at the least other instances of the same function, which have the same user. Whoever
reaches it could take an instance's event or answer in its place. So for each connection, before a
byte of it is looked at, the kernel is asked:

1. The peer's socket is looked up by the two addresses, which gives its inode and its user; another
   user's is refused at once. `sock_diag` does that in microseconds. Where a sandbox does not let
   this process ask it, `/proc/net/tcp` says the same, for which the kernel walks its whole table.
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
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
_DIAG_REQUEST = struct.Struct("=BBBxI")
# Ports, addresses (with room for IPv6), interface, cookie.
_DIAG_ADDRESSES = struct.Struct("!HH16s16sI8s")
# In the answer: a state, timers and the addresses, three numbers, then user and inode.
_DIAG_OWNER = struct.Struct("=II")
_DIAG_OWNER_AT = 4 + _DIAG_ADDRESSES.size + 12
_ESTABLISHED = 1
_TCP_INFO = 11
_SOL_TCP = 6


def is_ours(connection, listener_port):
    """Whether a process that this one has started is at the other end."""
    try:
        local = connection.getpeername()
    except OSError:
        return False  # it is gone already
    remote = ("127.0.0.1", listener_port)
    try:
        found = _by_diag(local, remote)
    except OSError:
        found = _by_table(local, remote)
    if found is None:
        return False
    user, inode = found
    if user != os.geteuid() or not inode:
        return False
    target = f"socket:[{inode}]"
    if not (_below(os.getpid(), target) or _anywhere(target)):
        return False
    return connection.getsockopt(_SOL_TCP, _TCP_INFO, 1)[0] == _ESTABLISHED


def _by_diag(local, remote):
    """User and inode of the socket with these addresses. Raises OSError where one may not ask."""
    addresses = _DIAG_ADDRESSES.pack(
        local[1], remote[1], _packed(local[0]), _packed(remote[0]), 0, _NO_COOKIE
    )
    request = _DIAG_REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ALL_STATES) + addresses
    size = _HEADER.size + len(request)
    header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + request)
        answer = kernel.recv(1024)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        # It is not there, or the kernel was built without: the table knows.
        number = -_ERROR.unpack_from(answer, _HEADER.size)[0]
        raise OSError(number, os.strerror(number))
    state = answer[_HEADER.size + 1]
    user, inode = _DIAG_OWNER.unpack_from(answer, _HEADER.size + _DIAG_OWNER_AT)
    # Where there is none with both addresses, the kernel tells who listens on the one.
    return (user, inode) if state == _ESTABLISHED else None


def _by_table(local, remote):
    """The same, from the table."""
    with open("/proc/self/net/tcp", "rb", buffering=0) as file:
        table = file.readall()
    at = table.find(b": %s %s " % (_table_key(*local), _table_key(*remote)))
    if at < 0:
        return None
    fields = table[at : table.index(b"\n", at)].split()
    return int(fields[7]), int(fields[9])


def _packed(address):
    return bytes(map(int, address.split(".")))


def _table_key(address, port):
    """An address as the kernel's table writes it."""
    (number,) = struct.unpack("=I", _packed(address))
    return b"%08X:%04X" % (number, port)


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
