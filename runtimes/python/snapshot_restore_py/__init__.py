"""AWS's snapshot_restore_py interface: run code before the snapshot and after each restore.

Here the snapshot is the loaded zygote, and a restore is a fork of it.
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Run `func` once, after the module is loaded and before the first fork; last one first."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Run `func` in every new instance, before its first invocation, in order."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
