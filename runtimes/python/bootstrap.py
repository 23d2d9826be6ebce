"""Entry of the Python host: `python bootstrap.py MSGPACK_DIR`, with the protocol on fds 3, 4, 5.

With a socket on 5 it is a zygote; without one it is a spare. Runs on Python 3.9 and newer with the
standard library and msgpack.
"""

import os
import stat
import sys


def _borrow_msgpack(directory):
    """Import msgpack from the host's own place and leave no trace of it.

    A function that ships another msgpack, or none, must find its own, or none.
    """
    sys.path.insert(0, directory)
    try:
        import msgpack

        return msgpack
    finally:
        sys.path.remove(directory)
        for name in [name for name in sys.modules if name.split(".")[0] == "msgpack"]:
            del sys.modules[name]


def _is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    msgpack = _borrow_msgpack(sys.argv[1])
    sys.argv[1:] = []
    # Python put this file's folder first; the function's own modules come first instead, then its
    # layers', and what the platform offers comes last.
    packages = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    sys.path[:1] = [task_root, packages, "/opt/python"]
    sys.path.append(here)
    from microfaas_host import frames, python, spare, zygote

    frames.use(msgpack)
    if _is_socket(frames.CONTROL):
        zygote.run(python.Python())
    else:
        spare.run(python.Python())


if __name__ == "__main__":
    main()
