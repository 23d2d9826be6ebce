"""What a fork does to itself before it takes an invocation: its cgroup, its /tmp, fresh chance."""

import ctypes
import os
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
PR_SET_PDEATHSIG = 1
SIGKILL = 9
MADV_COLLAPSE = 25
HUGE_PAGE = 2 * 1024 * 1024
# Below this the kernel copies the page tables of a heap faster than it makes huge pages.
COLLAPSE_BYTES_MIN = 24 * 1024 * 1024


# Bound once, before any fork: looking up a library allocates, and a fork should touch little.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.unshare.argtypes = [ctypes.c_int]
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def die_with_parent(parent):
    """Be killed when the zygote dies; a zygote that is dead already is noticed too."""
    _libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def join(fds):
    """Enter the cgroups. Here, while single-threaded, it costs a tenth of what it costs outside."""
    for fd in fds:
        os.write(fd, b"0")
        os.close(fd)


def left_in_tmp(shown):
    """Names that loading the module left in /tmp; `shown` are directories of the machine there."""
    ours = {path.split("/")[2] for path in shown}
    return [name for name in os.listdir("/tmp") if name not in ours]


def private_tmp(tmp_mb, shown, keep):
    """A /tmp of one's own, with a copy of `keep` and a view of `shown` from the zygote's."""
    uid, gid = os.geteuid(), os.getegid()
    # An ordinary user may change mounts in a user namespace of his own; the zygote's would do,
    # had executing the host not taken its capabilities away.
    if _libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)) != 0:
        raise _os_error("unshare")
    if uid:
        _map_self(uid, gid)
    # Opened in the new namespace: the kernel shows nothing of another one's.
    old = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY) if keep else -1
    views = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in shown]
    options = "mode=1777,size={}m".format(tmp_mb).encode()
    if _libc.mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, options) != 0:
        raise _os_error("mount /tmp")
    for path, fd in views:
        os.makedirs(path)
        source = "/proc/self/fd/{}".format(fd).encode()
        if _libc.mount(source, path.encode(), b"", MS_BIND | MS_REC, b"") != 0:
            raise _os_error("mount " + path)
        os.close(fd)
    if keep:
        _copy(old, keep)
        os.close(old)


def _copy(directory, names):
    import shutil  # seldom needed, and large

    for name in names:
        source = "/proc/self/fd/{}/{}".format(directory, name)
        if os.path.isdir(source) and not os.path.islink(source):
            shutil.copytree(source, "/tmp/" + name, symlinks=True)
        else:
            shutil.copy2(source, "/tmp/" + name, follow_symlinks=False)


def _map_self(uid, gid):
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", "{0} {0} 1".format(uid)),
        ("gid_map", "{0} {0} 1".format(gid)),
    ):
        fd = os.open("/proc/self/" + name, os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)


def reseed():
    """Two forks must not draw the same numbers. random, OpenSSL and uuid see to themselves."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def collapse_heap():
    """Put a large heap on huge pages, so that a fork copies hundreds of page tables fewer."""
    for start, end in _anonymous_ranges():
        first = -(-start // HUGE_PAGE) * HUGE_PAGE
        length = end // HUGE_PAGE * HUGE_PAGE - first
        if length >= HUGE_PAGE:
            # Advice: kernels before 6.1 do not know it, and nothing is lost.
            _libc.madvise(first, length, MADV_COLLAPSE)


def heap_is_large():
    return sum(end - start for start, end in _anonymous_ranges()) >= COLLAPSE_BYTES_MIN


def _anonymous_ranges():
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split()
            private_data = fields[1].startswith("rw") and fields[1].endswith("p")
            if private_data and (len(fields) == 5 or fields[5] == "[heap]"):
                start, end = fields[0].split("-")
                yield int(start, 16), int(end, 16)


def _os_error(what):
    number = ctypes.get_errno()
    return OSError(number, "{}: {}".format(what, os.strerror(number)))
