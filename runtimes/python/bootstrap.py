"""Entry of the Python host: `python bootstrap.py MSGPACK_DIR`, with the protocol on fds 3, 4, 5.

Runs on Python 3.9 and newer with the standard library and msgpack.
"""

import os
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


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    msgpack = _borrow_msgpack(sys.argv[1])
    sys.argv[1:] = []
    # Python put this file's folder first; the function's own modules come first instead, and
    # what the platform offers comes last.
    sys.path[0] = task_root
    sys.path.append(here)
    from microfaas_host import frames, zygote

    frames.use(msgpack)
    zygote.run(task_root)


if __name__ == "__main__":
    main()
