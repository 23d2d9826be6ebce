"""What a fork does to itself before it takes an invocation: its cgroup, its cell, fresh chance.

The cell was made by others: a user namespace that this user owns and may enter without any
privilege, a mount namespace in it with a /tmp of one's own, and Landlock's rules for that.
"""

import ctypes
import os
import stat
import struct
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_CAPBSET_DROP = 24
CAPABILITIES_MAX = 64
CAPABILITY_VERSION_3 = 0x20080522
LANDLOCK_RESTRICT_SELF = 446
SIGKILL = 9
MADV_COLLAPSE = 25
HUGE_PAGE = 2 * 1024 * 1024
# Below this the kernel copies the page tables of a heap faster than it makes huge pages.
COLLAPSE_BYTES_MIN = 24 * 1024 * 1024


# Bound once, before any fork: looking up a library allocates, and a fork should touch little.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.syscall.argtypes = [ctypes.c_long] * 3
_NO_CAPABILITIES = (struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24))
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def die_with_parent(parent):
    """Be killed when the zygote dies; a zygote that is dead already is noticed too."""
    _libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans():
    """Whatever children start stays below this process, also when the parent in between dies."""
    _must(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "adopt orphans")


def join(fds):
    """Enter the cgroups. Here, while single-threaded, it costs a tenth of what it costs outside."""
    for fd in fds:
        os.write(fd, b"0")
        os.close(fd)


def left_in_tmp(shown):
    """Names that loading the module left in /tmp; `shown` are directories of the machine there."""
    ours = {path.split("/")[2] for path in shown}
    return [name for name in os.listdir("/tmp") if name not in ours]


def enter(cell, keep):
    """Move into a cell and lose every right that moving gave; `keep` comes along from /tmp."""
    directory = os.getcwd()
    # What the module left behind is read through a descriptor: the path leads to the new /tmp.
    old = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY) if keep else -1
    _must(_libc.setns(cell[0], CLONE_NEWUSER), "enter the user namespace")
    _must(_libc.setns(cell[1], CLONE_NEWNS), "enter the mount namespace")
    os.chdir(directory)
    for number in range(CAPABILITIES_MAX):
        if _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # the kernel knows no more
    _must(_libc.capset(*_NO_CAPABILITIES), "drop capabilities")
    for rules in cell[2:]:
        _must(_libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0), "keep to Landlock's rules")
    for fd in cell:
        os.close(fd)
    if keep:
        _copy(old, keep)
        os.close(old)


def hide_memory():
    """Siblings, which are of the same user, may not look into this process through /proc."""
    _must(_libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "hide")


def _must(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "cannot {}: {}".format(what, os.strerror(number)))


def _copy(directory, names):
    import shutil  # seldom needed, and large

    for name in names:
        _copy_one("/proc/self/fd/{}/{}".format(directory, name), "/tmp/" + name, shutil)


def _copy_one(source, target, shutil):
    """Files, links and what is in folders; pipes and sockets are nothing to copy."""
    mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        os.mkdir(target)
        for name in os.listdir(source):
            _copy_one(source + "/" + name, target + "/" + name, shutil)
        shutil.copystat(source, target)
    elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        shutil.copy2(source, target, follow_symlinks=False)


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
