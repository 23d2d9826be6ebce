"""Whether a loaded function may be forked: asked of the kernel, not assumed."""

import os


def threads():
    return len(os.listdir("/proc/self/task"))


def descriptors():
    """Open descriptors that are shared conversations after a fork: {number: what it is}."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue  # the listing's own descriptor
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            found[int(name)] = target
    return found


def verdict(descriptors_before):
    """Why the process cannot be forked safely; empty when it can."""
    count = threads()
    if count > 1:
        return "{} threads run after loading".format(count)
    for number, target in descriptors().items():
        if number not in descriptors_before:
            return "{} is open after loading".format(target.split(":")[0])
    return ""
